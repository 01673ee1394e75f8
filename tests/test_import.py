"""The public names are these, and asking for the package or for help loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

import modplural

HEAVY = {"torch", "transformers", "peft", "mlflow", "litellm"}


def test_the_public_names_are_pinned() -> None:
    assert modplural.__all__ == [
        "CommunityLM",
        "CommunityPool",
        "Distributional",
        "FailurePolicy",
        "FakeEngine",
        "LocalEngine",
        "MeasuredChoice",
        "Message",
        "MixtureOfExperts",
        "Overton",
        "PlainAdapter",
        "PoolConfig",
        "Prompted",
        "Steerable",
        "Vanilla",
        "compile",
        "fake_lm",
        "load",
        "load_pool",
        "local_lm",
        "open_pool",
        "train_community",
    ]


@pytest.mark.parametrize("name", modplural.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(modplural, name).__module__.startswith("modplural.")
    assert name in dir(modplural)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'Overtone'.*Overton"):
        modplural.Overtone  # noqa: B018 - the access is what raises


@pytest.mark.parametrize(
    "script",
    [
        "import modplural",
        "import modplural.poolfile; modplural.poolfile.load_pool('default')",
        "import modplural.cli; sys.argv[1:] = ['--help']; modplural.cli.main()",
    ],
    ids=["import", "pool file", "help"],
)
def test_nothing_heavy_is_imported(script: str, tmp_path: Path) -> None:
    probe = (
        f"import sys\ntry:\n    {script}\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *sorted({HEAVY} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded:"
