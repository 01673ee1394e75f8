"""Reports: what they say, that they stand by themselves, and that nobody's text is read as markup."""

import json
import logging
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from modplural.optimizers.evaluation import Evaluation, Plan, evaluate, report_plots
from modplural.optimizers.evaluation.report_content import make_report
from modplural.optimizers.evaluation.report_files import report_json, write_reports
from modplural.optimizers.evaluation.report_format import markdown_text
from modplural.optimizers.faithfulness import Thresholds
from modplural.optimizers.metrics import MissingExtraError, PairwiseJudge
from modplural.programs.engines.fake import fake_lm

from .conftest import Words, World, dilemma, situation

HOSTILE = "<script>alert(1)</script> | ![x](http://evil.example/a.png) \x1b[31m & $x^2$"
FILES = ["report.md", "report.html", "report.json"]


def opinion(number: int, attribute: str = "SEX_Female", options: tuple[str, ...] = ("I stay.", "I go.")) -> Any:
    shares = [0.75, 0.25] if number % 2 else [0.25, 0.75]
    record = {"id": number, "question": f"Question {number}?", "options": list(options), "attribute": attribute}
    return {**record, "gold_distribution": shares, "pred_distribution": None}


def stance(number: int) -> Any:
    label, text = [("A", "Supports"), ("B", "Opposes")][number % 2]
    record = {"id": number, "situation": f"Deed {number}", "vrd": "Care", "input": f"Does it support deed {number}?"}
    return {**record, "label": label, "label_text": text, "output": None}


def found(plans: list[Plan], folder: Path) -> Evaluation:
    return evaluate(plans, folder / "found", scorer=Words())


class Page(HTMLParser):
    """The tags and the visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "use", "path", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_all_formats_say_the_figures_and_how_sure_they_are(world: World, tmp_path: Path) -> None:
    plans = [world.plan("distributional-moralchoice", [dilemma(n, n % 2 == 0) for n in range(6)])]
    evaluation = found(plans, tmp_path)
    files = write_reports(evaluation, plans, tmp_path / "reports")
    assert [file.relative_to(tmp_path / "reports").as_posix() for file in files[:3]] == FILES
    markdown, page, data = (file.read_text(encoding="utf-8") for file in files[:3])
    for method in evaluation.figures:
        figure = method.figures["Jensen-Shannon distance"]
        said = f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
        assert f"{said}, n=6" in markdown
        assert said in Page(page).text
    assert "modular against prompted" in Page(page).text
    assert "p after Holm" in markdown
    loaded = json.loads(data)
    (task,) = loaded["tasks"]
    assert task["task"]["digest"] == plans[0].records.digest
    assert [one["found"]["method"] for one in task["methods"]] == list(plans[0].programs)
    assert [one["corrected"] for one in task["comparisons"]] == [one.corrected for one in evaluation.comparisons]
    assert "rows" not in loaded


def test_tables_of_markdown_are_whole(world: World, tmp_path: Path) -> None:
    plans = [world.plan("overton-vk", [situation(n) for n in range(5)]), world.plan("steerable-vk", [stance(0)])]
    markdown = write_reports(found(plans, tmp_path), plans, tmp_path, Words())[0].read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert len(tables) > 6
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1
        assert set(table.splitlines()[1]) <= {"|", "-"}
        assert len(table.splitlines()) > 2


def test_parts_and_shares_are_those_of_the_rows(world: World, tmp_path: Path) -> None:
    groups = ["SEX_Female"] * 6 + ["SEX_Male"] * 4
    plans = [world.plan("steerable-opinionqa", [opinion(n, groups[n]) for n in range(10)], "vanilla")]
    (task,) = make_report(found(plans, tmp_path), plans).tasks
    (method,) = task.methods
    # The base LLM always finds "I stay." likelier, which is right for the odd records.
    assert {part: (one.value, one.n) for part, one in method.parts.items()} == {
        "SEX_Female": (0.5, 6),
        "SEX_Male": (0.5, 4),
    }
    low, high = method.shares
    assert (low.label, low.gold, low.n, high.gold, high.n) == ("20% to 40%", 0.25, 10, 0.75, 10)
    assert low.predicted + high.predicted == pytest.approx(1)
    assert [row.score for row in method.worst] == [0, 0, 0]
    assert [row.score for row in method.best] == [1, 1, 1]
    assert not {row.index for row in method.worst} & {row.index for row in method.best}


def test_stances_are_counted_by_label(world: World, tmp_path: Path) -> None:
    plans = [world.plan("steerable-vk", [stance(n) for n in range(4)], "vanilla")]
    (task,) = make_report(found(plans, tmp_path), plans).tasks
    shares = {one.label: (one.gold, one.n) for one in task.methods[0].shares}
    assert shares == {"Support": (0.5, 4), "Oppose": (0.5, 4), "Either": (0, 4)}
    assert sum(one.predicted for one in task.methods[0].shares) == 1


def test_coverage_and_faithfulness_need_a_scorer(world: World, tmp_path: Path) -> None:
    world.replies[""] = "It depends. Kindness first."
    plans = [world.plan("overton-vk", [situation(n) for n in range(3)], "vanilla", "modular")]
    evaluation = found(plans, tmp_path)
    (task,) = make_report(evaluation, plans, Words()).tasks
    vanilla, modular = task.methods
    assert {value: (one.value, one.scorer) for value, one in modular.values.items()} == {
        "Peace": (0, "words"),
        "Joy": (1, "words"),
    }
    assert list(modular.values) == ["Peace", "Joy"]
    assert vanilla.faithfulness is None
    assert modular.faithfulness is not None
    care, fairness = modular.faithfulness.communities.values()
    assert (care.dropped.value, fairness.dropped.value, modular.faithfulness.unsupported.value) == (0, 1, 0.5)
    shown = modular.worst[0]
    assert [message.community for message in shown.messages] == ["care", "fairness"]
    assert shown.coverage == {"Joy": 1, "Peace": 0}
    assert shown.faithfulness is not None
    assert [list(one.communities) for one in shown.faithfulness.sentences] == [[], ["care"]]
    (bare,) = make_report(evaluation, plans).tasks
    assert (bare.methods[1].faithfulness, dict(bare.methods[1].values)) == (None, {})


def test_faithfulness_is_in_the_reports(world: World, tmp_path: Path) -> None:
    world.replies[""] = "It depends. Kindness first."
    plans = [world.plan("overton-vk", [situation(n) for n in range(3)], "modular")]
    markdown, page, data = write_reports(
        found(plans, tmp_path), plans, tmp_path / "r", Words(), thresholds=Thresholds(0.5, 0.7)
    )[:3]
    told = markdown.read_text(encoding="utf-8")
    assert "dropped (below 0.5)" in told
    assert "sentences, at 0.7 or more" in told
    assert '- behind "Kindness first.": care' in told
    assert '- behind "It depends.": nobody' in told
    assert "- dropped: fairness" in told
    table = json.loads(data.read_bytes())["tasks"][0]["methods"][0]["faithfulness"]
    assert table["thresholds"] == {"dropped_below": 0.5, "behind_from": 0.7}
    assert table["communities"]["fairness"]["dropped"]["value"] == 1
    assert "Dropped: fairness." in Page(page.read_text(encoding="utf-8")).text


def test_the_page_stands_by_itself(world: World, tmp_path: Path) -> None:
    plans = [
        world.plan("overton-vk", [situation(n) for n in range(6)]),
        world.plan("steerable-opinionqa", [opinion(n) for n in range(6)]),
    ]
    page = write_reports(found(plans, tmp_path), plans, tmp_path / "r", Words())[1].read_text(encoding="utf-8")
    read = Page(page)
    assert read.open == []
    names = {tag for tag, _ in read.tags}
    assert not names & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    for tag, attributes in read.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                assert (value or "").startswith("#"), (tag, name, value)
            if "url(" in (value or ""):
                assert "url(#" in (value or "")
    assert "@import" not in page
    assert [tag for tag, _ in read.tags].count("svg") == 5
    assert "default-src 'none'" in page


def test_nobody_s_text_is_read_as_markup(world: World, tmp_path: Path) -> None:
    world.replies["You speak for care"] = f"{HOSTILE} \ud83d"
    world.replies[""] = f"{HOSTILE} \ud83d It depends."
    rows = [opinion(n, f"SEX_{HOSTILE} $a$ $b$", (f"I stay. {HOSTILE}", "I go.")) for n in range(6)]
    plans = [world.plan("steerable-opinionqa", rows), world.plan("overton-vk", [situation(n) for n in range(2)])]
    files = write_reports(found(plans, tmp_path), plans, tmp_path / "r", Words())
    markdown, page, _ = (file.read_text(encoding="utf-8") for file in files[:3])
    assert not {tag for tag, _ in Page(page).tags} & {"script", "img"}
    assert "<script>alert(1)</script>" in Page(page).text
    for text in (markdown, page):
        assert "\x1b" not in text
    assert "<script" not in re.sub(r"\\<", "", markdown)
    assert not re.search(r"(?<!\\)\]\(|https?://", markdown)
    for file in files[3:]:
        drawn = ElementTree.fromstring(file.read_bytes())
        assert not [one for one in drawn.iter() if one.tag.endswith("}script")]


def test_plots_are_the_same_each_time_and_hold_no_metadata(world: World, tmp_path: Path) -> None:
    plans = [world.plan("distributional-moralchoice", [dilemma(n) for n in range(6)])]
    report = make_report(found(plans, tmp_path), plans)
    plots = report_plots.draw(report)["distributional-moralchoice"]
    assert plots == report_plots.draw(report)["distributional-moralchoice"]
    assert [plot.name.rpartition(".")[2] for plot in plots] == ["figures", "shares", "parts"]
    for plot in plots:
        assert plot.svg.startswith("<svg")
        assert "metadata" not in plot.svg
        assert "modular" in plot.svg


def test_without_matplotlib_reports_have_no_plots_and_say_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(module: str) -> None:
        raise MissingExtraError(f"{module} is not installed: pip install 'modplural[evaluate]'")

    monkeypatch.setattr(report_plots, "load_extra", missing)
    plans = [world.plan("distributional-moralchoice", [dilemma(0)], "vanilla")]
    with caplog.at_level(logging.WARNING, logger="modplural"):
        files = write_reports(found(plans, tmp_path), plans, tmp_path / "r")
    assert [file.name for file in files] == FILES
    assert "without plots: matplotlib is not installed" in caplog.text
    assert "<svg" not in files[1].read_text(encoding="utf-8")


def test_rows_that_failed_are_counted_and_shown_as_no_answer(world: World, tmp_path: Path) -> None:
    otherwise = world.replies.pop("")
    world.replies |= {"What of situation 1?": ValueError("no such luck"), "": otherwise}
    plans = [world.plan("overton-vk", [situation(n) for n in range(3)], "vanilla", "modular")]
    evaluation = found(plans, tmp_path)
    assert evaluation.failed
    report = make_report(evaluation, plans, Words())
    assert report.tasks[0].methods[0].found.failed == 1
    assert all(row.index != 1 for row in (*report.tasks[0].methods[0].worst, *report.tasks[0].methods[0].best))
    assert "| failed rows | 1 |" in write_reports(evaluation, plans, tmp_path / "r")[0].read_text(encoding="utf-8")


def test_a_task_without_its_records_is_refused(world: World, tmp_path: Path) -> None:
    plans = [world.plan("overton-vk", [situation(0)], "vanilla")]
    with pytest.raises(ValueError, match="needs those of overton-vk as well"):
        make_report(found(plans, tmp_path), [world.plan("steerable-vk", [stance(0)], "vanilla")])


def test_no_number_is_no_json(world: World, tmp_path: Path) -> None:
    plans = [world.plan("steerable-vk", [stance(0)], "vanilla")]
    data = report_json(make_report(found(plans, tmp_path), plans))
    assert json.dumps(data, allow_nan=False)
    assert not math.isnan(data["tasks"][0]["methods"][0]["found"]["figures"]["accuracy"]["value"])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b\n# c", r"a\|b \# c"),
        ("*x* _y_ `z`", r"\*x\* \_y\_ \`z\`"),
        ("[a](b) <c> &amp;", r"\[a\](b) \<c\> \&amp;"),
        ("see www.a.org and https://b.org, a@b", r"see www\.a.org and https\://b.org, a\@b"),
        (1.5, "1.5"),
        ("क्\u200dष a\u202eb", "क्\u200dष a b"),
    ],
)
def test_markdown_is_escaped(text: object, written: str) -> None:
    assert str(markdown_text(text)) == written


def test_judged_responses_are_reported_with_what_they_cover(world: World, tmp_path: Path) -> None:
    judge = PairwiseJudge(fake_lm(likelihoods=lambda prompt, text: math.log(0.9 if "A" in text else 0.1)), "letters")
    plans = [world.plan("overton-judge", [situation(n) for n in range(2)], "prompted", "modular")]
    evaluation = evaluate(plans, tmp_path / "found", scorer=Words(), judge=judge)
    (task,) = make_report(evaluation, plans, Words()).tasks
    assert [dict(method.parts) for method in task.methods] == [{}, {}]
    assert task.methods[1].values["Joy"].value == 1
    page = write_reports(evaluation, plans, tmp_path / "r", Words())[1].read_text(encoding="utf-8")
    assert "win score" in Page(page).text


def test_a_question_with_one_option_is_in_no_share_and_no_extreme(world: World, tmp_path: Path) -> None:
    only = {**opinion(9), "options": ["I stay."], "gold_distribution": [1.0]}
    plans = [world.plan("steerable-opinionqa", [opinion(1), only], "vanilla")]
    evaluation = found(plans, tmp_path)
    (method,) = make_report(evaluation, plans).tasks[0].methods
    assert [one.n for one in method.shares] == [1, 1]
    assert [row.id for row in (*method.worst, *method.best)] == [1]
    assert write_reports(evaluation, plans, tmp_path / "r")
