"""Holds what `conftest.py` promises: tests neither reach the network nor share replies."""

import socket
from pathlib import Path

import pytest

from modplural.programs.engines.fake import FakeEngine, fake_lm


def test_no_connection_and_no_look_up_leaves_this_machine() -> None:
    with pytest.raises(RuntimeError, match=r"a test tried to reach 'example\.org'"):
        socket.create_connection(("example.org", 80))
    with socket.socket() as unconnected, pytest.raises(RuntimeError, match=r"'192\.0\.2\.1'"):
        unconnected.connect(("192.0.2.1", 80))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_replies_are_cached_only_where_a_test_asks_for_it(request: pytest.FixtureRequest) -> None:
    lm = fake_lm(lambda asked: "yes", cache=True)
    engine = lm.engine
    assert isinstance(engine, FakeEngine)

    lm("Is it cached?")
    lm("Is it cached?")
    assert len(engine.requests) == 2

    folder: Path = request.getfixturevalue("dspy_cache")
    lm("Is it cached?")
    lm("Is it cached?")
    assert len(engine.requests) == 3
    assert folder.is_dir()
