"""What MLflow's pages show of a project, in a real browser: runs, plots, differences of prompts, versions, traces.

Names, figures and texts are compared with those of the project's own files, so that an empty page passes nothing.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .scripted import KEEPING, SAID, VAGUE

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Picture = Callable[[str], None]

INSTRUCTIONS, SYNTHESIS = (f"Overton on overton-vk, {strategy}" for strategy in ("instructions", "synthesis"))

pytestmark = pytest.mark.ui


def test_an_experiment_lists_its_compilations_and_their_trials(page: "Page", project: Path, picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_experiment(page, "modplural-compilation")
    for name in (INSTRUCTIONS, SYNTHESIS):
        expect(_row(page, name)).to_be_visible()
    expect(_row(page, "overton-vk (").filter(has_text="program")).to_have_count(2)
    trials = sum(len(_report(project, strategy)["trials"]) for strategy in ("instructions", "synthesis"))
    expect(page.get_by_text(f"{trials + 2} matching runs")).to_be_visible()
    expect(page.get_by_role("link", name="1: synthesis")).to_have_count(0)
    _row(page, SYNTHESIS).get_by_role("button").click()
    expect(page.get_by_role("link", name="1: synthesis")).to_be_visible()
    picture("experiment")


def test_two_runs_are_compared(page: "Page", project: Path, picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_experiment(page, "modplural-compilation")
    for name in (INSTRUCTIONS, SYNTHESIS):
        _row(page, name).get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Comparing 2 Runs")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^strategy"))).to_contain_text("instructions")
    expect(page.get_by_role("row", name=re.compile("^strategy"))).to_contain_text("synthesis")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    picture("comparison")
    found = {_coverage(project, strategy) for strategy in ("instructions", "synthesis")}
    assert len(found) == 2
    assert _level_with(page, "dev/after/value coverage") == {f"{value:.3f}".rstrip("0") for value in found}


def test_a_run_shows_what_was_learned_and_its_plot(page: "Page", picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_run(page, "modplural-compilation", INSTRUCTIONS)
    expect(page.get_by_text("test/after minus before/value coverage/low", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    _open_file(page, "report", "report.md")
    expect(page.get_by_role("heading", name="What was learned")).to_be_visible()
    expect(page.get_by_text("-instructions: Answer the query in one text.")).to_be_visible()
    expect(page.get_by_text(f"+instructions: Write one paragraph about the query. {KEEPING}")).to_be_visible()
    page.get_by_role("heading", name="What was learned").evaluate("heading => heading.scrollIntoView()")
    picture("difference")
    _open_file(page, "scores.svg")
    _expect_drawn(page, "report/scores.svg")
    picture("plot")


def test_an_evaluation_shows_its_plots_and_reports(page: "Page", picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_run(page, "modplural-evaluation", "overton-vk")
    page.get_by_role("tab", name="Artifacts").click()
    _open_file(page, "reports", "plots", "overton-vk.figures.svg")
    _expect_drawn(page, "reports/plots/overton-vk.figures.svg")
    _open_file(page, "report.html")
    expect(page.frame_locator("iframe").get_by_role("heading", name="overton-vk").first).to_be_visible()
    picture("evaluation")


def test_versions_stand_with_their_aliases(page: "Page", picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_experiment(page, "modplural-compilation")
    page.get_by_role("link", name="Model registry").click()
    page.get_by_role("link", name="overton", exact=True).click()
    first, second = (page.get_by_role("row").filter(has_text=f"Version {number}") for number in (1, 2))
    expect(second.get_by_title("champion", exact=True)).to_be_visible()
    expect(first).to_be_visible()
    expect(first.get_by_title("champion", exact=True)).to_have_count(0)
    picture("versions")
    second.get_by_role("link", name="Version 2").click()
    expect(page.get_by_role("link", name=SYNTHESIS)).to_be_visible()


def test_a_trace_tells_what_each_community_said(page: "Page", picture: Picture) -> None:
    from playwright.sync_api import expect

    _open_run(page, "modplural-evaluation", "overton-vk")
    page.get_by_role("tab", name="Traces").click()
    page.get_by_role("row").filter(has_text='"strategy": "joint"').first.get_by_text('"query"').click()
    spans = page.locator("[data-testid^=timeline-tree-node-]")
    expect(spans).to_have_count(1 + 2 * (len(SAID) + 1))
    titles = page.locator("[data-testid^=span-title-row-]").all_inner_texts()
    assert titles[0] == "Overton"
    assert set(SAID) | {"synthesize", "fake/base"} <= set(titles)
    expect(page.get_by_text(VAGUE, exact=True)).to_be_visible()
    picture("trace")
    for name, message in SAID.items():
        spans.filter(has=page.get_by_text(name, exact=True)).click()
        expect(page.get_by_text(message, exact=True)).to_be_visible()
        expect(page.get_by_text(VAGUE, exact=True)).to_have_count(0)


def _open_experiment(page: "Page", name: str) -> None:
    page.goto("/#/experiments")
    page.get_by_role("button", name="Model training").click()
    page.get_by_role("link", name=name, exact=True).click()


def _open_run(page: "Page", experiment: str, name: str) -> None:
    from playwright.sync_api import expect

    _open_experiment(page, experiment)
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def _row(page: "Page", name: str) -> "Locator":
    return page.get_by_role("row").filter(has_text=name)


def _level_with(page: "Page", metric: str) -> set[str]:
    """The figures that stand right of a metric's name; names and figures are lists of their own."""
    name = page.get_by_role("link", name=metric, exact=True)
    places = [
        (each.bounding_box(), each) for each in [name, *page.locator(f"span:right-of(:text-is('{metric}'))").all()]
    ]
    height = {each: box["y"] + box["height"] / 2 for box, each in places if box is not None}
    return {each.inner_text() for each, y in height.items() if each is not name and abs(y - height[name]) < 5}


def _open_file(page: "Page", *names: str) -> None:
    """Open folders in the tree of artifacts, and then a file."""
    for name in names:
        page.get_by_test_id("artifact-tree-node").get_by_text(name, exact=True).click()


def _expect_drawn(page: "Page", name: str) -> None:
    """Expect an image that the browser could draw: of one that it could not, the width is 0."""
    from playwright.sync_api import expect

    image = page.get_by_alt_text(name)
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def _report(project: Path, strategy: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((project / strategy / "report.json").read_bytes())
    return read


def _coverage(project: Path, strategy: str) -> float:
    return float(_report(project, strategy)["dev"]["after"]["value coverage"]["value"])
