"""The journal: what it keeps through a crash, and whom it refuses to be continued by."""

import logging
from pathlib import Path

import pytest

from modplural.optimizers.journal import Entry, Journal, RunError

HEADER = {"task": "overton-vk", "program.type": "stub"}


def entry(index: int, answer: object = "an answer") -> Entry:
    return Entry(index, f"id-{index}", "digest", answer=answer, failures={"care": "timed out"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path, HEADER) as journal:
        for index in (2, 0, 1):
            journal.append(entry(index))
    return path


def test_entries_come_back_the_latest_of_each_record(path: Path) -> None:
    with Journal.open(path, HEADER) as journal:
        journal.append(entry(0, [0.25, 0.75]))
    with Journal.open(path, HEADER) as journal:
        assert journal.entries == {0: entry(0, [0.25, 0.75]), 1: entry(1), 2: entry(2)}


def test_a_line_torn_at_any_byte_is_dropped_and_writing_goes_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        with caplog.at_level(logging.WARNING), Journal.open(path, HEADER) as journal:
            assert sorted(journal.entries) == [0, 2]
            journal.append(entry(3))
        with Journal.open(path, HEADER) as journal:
            assert sorted(journal.entries) == [0, 2, 3]
    assert "1 line(s) not written to the end" in caplog.text


def test_a_damaged_line_in_the_middle_costs_its_record_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"id-0"', b'"id-9"'))
    with caplog.at_level(logging.WARNING), Journal.open(path, HEADER) as journal:
        assert sorted(journal.entries) == [1, 2]
    assert "1 line(s)" in caplog.text


def test_another_runs_journal_is_refused_with_what_differs_and_left_alone(path: Path) -> None:
    content = path.read_bytes()
    with pytest.raises(
        RunError, match=r"task was overton-vk, is absent; program\.type was stub, is other.*start afresh"
    ):
        Journal.open(path, {"program.type": "other"})
    assert path.read_bytes() == content


def test_a_journal_without_an_answer_makes_room_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal.open(path, HEADER) as journal:
        journal.append(Entry(0, 0, "digest", error="wrong key"))
    with Journal.open(path, {"task": "steerable-vk"}) as journal:
        assert journal.entries == {}


@pytest.mark.parametrize("content", [b"", b"my notes\n", b'{"checksum": "0", "entry": {"journal": 1}}\n'])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunError, match="is not the journal of a run"):
        Journal.open(path, HEADER)
    assert path.read_bytes() == content


def test_announced_outputs_are_known_again(path: Path) -> None:
    with Journal.open(path, HEADER) as journal:
        journal.announce_output(b"first")
        journal.announce_output(b"second")
    with Journal.open(path, HEADER) as journal:
        assert [journal.wrote(content) for content in (b"first", b"second", b"third")] == [True, True, False]
