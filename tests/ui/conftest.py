"""A project with everything that MLflow's pages can show, made by this package's own commands, and a browser on them.

`make test-ui` names the browser in `MODPLURAL_BROWSER`; where it is unset, these tests skip. What the pages looked like
is kept in `build/ui`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from .scripted import scripted_lm, write_pool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PICTURES = Path(__file__).parents[2] / "build" / "ui"

_MAIN = "from modplural.cli import main; main()"
_PATIENCE_MS = 20_000
"""How long a page may take to show something; a busy machine is slow."""
_ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
_GREETED = {
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.detectIssues.guidanceShown_v1": "true",
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
}
"""What MLflow's pages remember of a visitor who has seen their greetings, which would cover them."""


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A real browser without a window, which finds nobody but this machine."""
    path = os.environ.get("MODPLURAL_BROWSER")
    if not path:
        pytest.skip("needs a browser; `make test-ui` installs one")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[_ALONE])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def project(browser: "Browser", empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store in which a mode was compiled twice, registered, promoted, and evaluated with traces."""
    from modplural.programs import building, lms, saving

    folder = tmp_path_factory.mktemp("ui") / "project"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.chdir(folder)
        for module in (building, lms, saving):
            patch.setattr(module, "build_lm", scripted_lm)
        from mlflow.tracing import reset

        reset()  # or traces would go to the store of the test before
        _work(write_pool(folder / "pool.yaml"))
        yield folder
        reset()


@pytest.fixture(scope="session")
def address(project: Path) -> Iterator[str]:
    """Where `modplural ui` shows the project."""
    process = subprocess.Popen([sys.executable, "-c", _MAIN, "ui", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r" at (http://127\.0\.0\.1:\d+),", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def page(browser: "Browser", address: str, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page; asking anybody but the server, and an error in a script, fail the test. How it ended is kept."""
    greeted = [{"name": name, "value": value} for name, value in _GREETED.items()]
    context = browser.new_context(
        base_url=address,
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        timezone_id="UTC",
        storage_state={"origins": [{"origin": address, "localStorage": greeted}]},
    )
    context.set_default_timeout(_PATIENCE_MS)
    asked: set[str] = set()
    errors: list[str] = []
    context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = context.new_page()
    yield page
    page.screenshot(path=PICTURES / f"{request.node.name}.png")
    context.close()
    assert asked - {""} == {urlsplit(address).netloc}
    assert errors == []


@pytest.fixture
def picture(page: "Page") -> Callable[[str], None]:
    """Keeps what the page looks like, under a name."""

    def picture(name: str) -> None:
        page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    return picture


def _work(pool: Path) -> None:
    """Compile, register, promote and evaluate; seconds, because the LMs follow a script."""
    task = ("--task", "overton-vk", "--limit", 8, "--pool", pool)
    for strategy in ("instructions", "synthesis"):
        kept = ("--register", "overton", "--promote", "--output", strategy)
        _run("compile", "overton", "--strategy", strategy, *task, *kept)
    tracked = ("--track", "--traces", 1, "--output", "evaluated")
    _run("evaluate", "--method", "prompted,modular", *task, *tracked)


def _run(*arguments: object) -> None:
    from modplural.cli import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
