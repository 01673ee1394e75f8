"""How idle threads wait: they spin for a moment where nobody else computes, and what users say stays as it is."""

import os

import pytest

from modplural.cli.openmp import set_waiting


def chosen(monkeypatch: pytest.MonkeyPatch, load: float, **said: str) -> dict[str, str]:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    environment = dict(said)
    set_waiting(environment)
    return environment


def test_threads_spin_for_a_moment_on_an_idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(monkeypatch, load=0.9)
    assert found.keys() == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    assert 0 < int(found["GOMP_SPINCOUNT"]) < 300_000


def test_threads_sleep_at_once_where_others_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, load=1.1) == {"OMP_WAIT_POLICY": "PASSIVE"}


def test_threads_sleep_at_once_where_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    environment: dict[str, str] = {}
    set_waiting(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "3"}])
def test_what_users_say_stays(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> None:
    assert chosen(monkeypatch, load=0.0, **said) == said
