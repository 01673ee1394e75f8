"""How idle threads wait: they spin for a moment where nobody else computes, and what users say stays as it is."""

import os
from pathlib import Path

import pytest

from modplural.cli import openmp

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says of its load, on a machine of eight cores."""
    file = tmp_path / "loadavg"
    monkeypatch.setattr(openmp, "_LOAD", file)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return file


def chosen(**said: str) -> dict[str, str]:
    environment = dict(said)
    openmp.set_waiting(environment)
    return environment


def test_threads_spin_for_a_moment_where_hardly_anybody_computes(load: Path) -> None:
    load.write_text("9.00 8.00 7.00 2/900 4242\n")  # it was busy, and now one other thread runs
    found = chosen()
    assert found.keys() == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    assert 0 < int(found["GOMP_SPINCOUNT"]) < 300_000


def test_threads_sleep_at_once_where_others_compute(load: Path) -> None:
    load.write_text("0.00 0.00 0.00 3/900 4242\n")
    assert chosen() == PASSIVE


@pytest.mark.parametrize("text", [None, "", "what is this?", "0.1 0.1 0.1 many 7"])
def test_threads_sleep_at_once_where_nobody_knows(load: Path, text: str | None) -> None:
    if text is not None:
        load.write_text(text)
    assert chosen() == PASSIVE


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "3"}])
def test_what_users_say_stays(load: Path, said: dict[str, str]) -> None:
    load.write_text("0.00 0.00 0.00 1/900 4242\n")
    assert chosen(**said) == said
