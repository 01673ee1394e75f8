"""What the tests of versions share: a store of their own, and saved programs whose LMs are on nobody's server."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dspy
import pytest

from modplural.optimizers.versions import RowScore, Scores
from modplural.optimizers.versions.artifact import quiet_pyfunc
from modplural.programs.community import CommunityLM
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool

Save = Callable[..., Path]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with MLflow's tables and nothing in them, because making these takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient(f"sqlite:///{file}").search_experiments()
    with quiet_pyfunc():
        import mlflow.pyfunc  # noqa: F401 - warns of itself when it is imported first
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder with a store of its own."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(empty_store, project / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.chdir(project)
    yield project


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves an Overton program with an instruction of the test's."""

    def save(name: str = "saved", instructions: str = "Answer for all of them.") -> Path:
        lm = dspy.LM("hosted_vllm/small", api_base="http://127.0.0.1:8000/v1")
        pool = CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)])
        program = Overton(dspy.LM("openai/gpt-4o-mini"), pool)
        program.synthesize.signature = program.synthesize.signature.with_instructions(instructions)
        program.save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def scores() -> Callable[..., Scores]:
    """Scores of twenty rows around a value, two of each situation."""

    def scores(value: float, *, noise: float = 0.0, rows: bool = True, **changes: object) -> Scores:
        low_and_high = [value - noise, value + noise]
        each = [
            RowScore(record=str(n), group=str(n // 2), score=low_and_high[n // 2 % 2]) for n in range(20 if rows else 0)
        ]
        return Scores.model_validate(
            {
                "task": "overton-vk",
                "figure": "value coverage",
                "value": value,
                "low": value - 0.05,
                "high": value + 0.05,
                "n": 20,
                "digest": "d" * 64,
                "rows": each,
                **changes,
            }
        )

    return scores
