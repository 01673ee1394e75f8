"""What is in the file is found again, and what is done stays done."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers import RunError
from modplural.optimizers.evaluation.store import Result, Store
from modplural.optimizers.evaluation.usage import Tokens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluation.sqlite"


def result(key: str = "k", *, error: str | None = None, calls: int = 1) -> Result:
    prediction = None if error else {"response": f"Reply to {key}.", "probabilities": {"b": 0.1, "a": 0.9}}
    return Result(key, "program", "record", prediction, error, 0.5, {"lm": Tokens(calls, 10, 2)})


def test_a_result_is_found_again_as_it_was(path: Path) -> None:
    with Store(path) as store:
        store.keep(result())
    with Store(path) as store:
        assert store.results(["k", "other"]) == {"k": result()}
        kept = store.results(["k"])["k"].prediction
    assert kept is not None
    assert list(kept["probabilities"]) == ["b", "a"], "the order of options is kept"


def test_a_failure_gives_way_and_what_it_took_is_counted(path: Path) -> None:
    with Store(path) as store:
        store.keep(result(error="down", calls=3))
        store.keep(result(error="down again", calls=2))
        assert store.results(["k"])["k"].error == "down again"
        store.keep(result(calls=1))
        assert store.results(["k"])["k"].error is None
        assert store.usage() == {"lm": Tokens(6, 30, 6)}


def test_what_is_done_stays_as_it_is(path: Path) -> None:
    with Store(path) as store:
        store.keep(result())
        store.keep(result(error="too late"))
        assert store.results(["k"]) == {"k": result()}


def test_many_threads_keep_results(path: Path) -> None:
    keys = [str(number) for number in range(200)]
    with Store(path) as store, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.keep(result(key)), keys))
        assert store.results(keys) == {key: result(key) for key in keys}


def test_a_result_that_cannot_be_kept_leaves_the_file_usable(path: Path) -> None:
    odd = Result("odd", "p", "r", {"response": object()}, None, 0, {})
    with Store(path) as store:
        with pytest.raises(TypeError):
            store.keep(odd)
        store.keep(result())
        assert set(store.results(["odd", "k"])) == {"k"}


@given(text=st.text(st.characters(codec=None), max_size=20))
def test_any_text_is_kept(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Store(tmp_path_factory.mktemp("store") / "evaluation.sqlite") as store:
        store.keep_message("m", "care", text, text, {})
        store.keep(Result("k", "p", "r", {"response": text}, None, 0, {}))
        assert store.message("m") == text
        assert store.results(["k"])["k"].prediction == {"response": text}


def test_a_message_and_a_verdict_are_said_once(path: Path) -> None:
    with Store(path) as store:
        for text in ("First.", "Second."):
            store.keep_message("m", "care", "Tea?", text, {"lm": Tokens(1, 1, 1)})
            store.keep_verdict("v", [0.5, text], {"judge": Tokens(2, 9, 0)})
        assert (store.message("m"), store.verdict("v")) == ("First.", [0.5, "First."])
        assert (store.message("n"), store.verdict("n")) == (None, None)
        assert store.usage() == {"lm": Tokens(1, 1, 1), "judge": Tokens(2, 9, 0)}


def test_usage_is_added_up_as_a_new_reader_would_find_it(path: Path) -> None:
    with Store(path) as store:
        store.keep(result(error="down"))
        store.keep(result())
        store.keep(result(error="too late"))
        store.keep_message("m", "care", "Tea?", "Yes.", {"lm": Tokens(1, 1, 1)})
        store.keep_message("m", "care", "Tea?", "No.", {"lm": Tokens(1, 1, 1)})
        store.keep_verdict("v", 1.0, {"judge": Tokens(1, 5, 0)})
        added = store.usage()
    with Store(path) as store:
        assert store.usage() == added == {"lm": Tokens(3, 21, 5), "judge": Tokens(1, 5, 0)}


def test_a_full_disk_is_told_and_nothing_is_lost(path: Path) -> None:
    with Store(path) as store:
        store.keep(result("before"))
        (pages,) = store._run("PRAGMA page_count")[0]
        store._run(f"PRAGMA max_page_count = {pages}")
        long = Result("long", "p", "r", {"response": "word " * 20_000}, None, 0, {"lm": Tokens(1, 1, 1)})
        for keep in (lambda: store.keep(long), lambda: store.keep_message("m", "care", "Tea?", "word " * 20_000, {})):
            with pytest.raises(
                RunError, match=r"evaluation\.sqlite cannot be used any more \(database or disk is full\)"
            ):
                keep()
        assert store.usage() == {"lm": Tokens(1, 10, 2)}
    with Store(path) as store:
        store.keep(long)
        assert set(store.results(["before", "long"])) == {"before", "long"}


def test_every_commit_is_on_disk(path: Path) -> None:
    with Store(path) as store:
        (synchronous,), (mode,) = store._run("PRAGMA synchronous")[0], store._run("PRAGMA journal_mode")[0]
    assert (synchronous, mode) == (2, "wal")


@pytest.mark.parametrize("version", [0, 2])
def test_the_file_of_something_else_is_refused(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"CREATE TABLE results (x); PRAGMA user_version = {version};")
    with pytest.raises(RunError, match="not the file of an evaluation that this version can continue"):
        Store(path)


@pytest.mark.parametrize(("column", "text"), [("prediction", '{"response": "Rep'), ("usage", "[1"), ("usage", '"x"')])
def test_a_damaged_row_is_told_with_its_file(path: Path, column: str, text: str) -> None:
    with Store(path) as store:
        store.keep(result())
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"UPDATE results SET {column} = ?", (text,))

    def read() -> None:
        with Store(path) as store:
            store.results(["k"])

    with pytest.raises(RunError, match=r"evaluation\.sqlite is damaged .* Put a copy in its place, or choose another"):
        read()


def test_a_damaged_file_is_told(path: Path) -> None:
    with Store(path) as store:
        for number in range(200):
            store.keep(result(str(number)))
    content = bytearray(path.read_bytes())
    content[8192:-8192] = b"\xff" * (len(content) - 16384)
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"evaluation\.sqlite is damaged"):
        Store(path)
