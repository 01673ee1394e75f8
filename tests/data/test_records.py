"""Reading a JSON list record by record, and writing it back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modplural.data import TASKS, RecordFileError, encode_rows, read_records, write_atomic

QUESTION = {
    "id": 7,
    "question": "Question: Tea or milk?\nOptions: A. Tea B. Milk\nAnswer:",
    "options": ["Tea", "Milk"],
    "attribute": "Atlantis",
    "gold_distribution": [0.25, 0.75],
    "pred_distribution": None,
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def save(folder: Path, content: Any) -> Path:
    path = folder / "records.json"
    path.write_bytes(encode_rows(content) if isinstance(content, list) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[{]", r"records\.json is not JSON: Expecting property name"),
        (b"\xff\xfe\xfa", r"records\.json is not JSON"),
        (b"[" * 100_000, r"records\.json is not JSON"),
        (b"{}", r"records\.json holds one JSON dict, where a JSON list of records is expected"),
        (b"[]", r"records\.json holds an empty list"),
        (b'[{"id": 1}, 3]', r"no record of a known task.*steerable-vk: label, situation, vrd"),
    ],
)
def test_a_file_that_holds_no_records_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "records.json"
    path.write_bytes(content)
    with pytest.raises(RecordFileError, match=message):
        read_records(path)


def test_a_bad_record_is_named_by_its_index_and_key_while_the_rest_is_read(tmp_path: Path) -> None:
    rows = [QUESTION, "nonsense", {**QUESTION, "options": "Tea, Milk"}, {**QUESTION, "id": True}, QUESTION]
    found = read_records(save(tmp_path, rows))
    assert list(found.records) == [0, 4]
    assert [bad.index for bad in found.bad] == [1, 2, 3]
    assert "key options: Input should be a valid list" in found.bad[1].reason
    assert "key id" in found.bad[2].reason


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    rows = [QUESTION, {key: value for key, value in QUESTION.items() if key != "attribute"}]
    (bad,) = read_records(save(tmp_path, rows)).bad
    assert (bad.index, bad.reason) == (1, "key attribute: Field required")


def test_a_limit_reads_the_first_rows_only(tmp_path: Path) -> None:
    found = read_records(save(tmp_path, [QUESTION, "nonsense", QUESTION]), limit=1)
    assert (len(found.rows), list(found.records), found.bad) == (1, [0], ())
    with pytest.raises(ValueError, match="limit is 0"):
        read_records(found.path, limit=0)


def test_an_example_holds_the_calls_inputs_and_the_gold(tmp_path: Path) -> None:
    (example,) = read_records(save(tmp_path, [QUESTION])).examples()
    assert example.inputs().toDict() == {"query": "Tea or milk?", "options": ["Tea", "Milk"], "attribute": "Atlantis"}
    assert example.gold_distribution == {"Tea": 0.25, "Milk": 0.75}


def test_writing_fills_one_key_and_keeps_all_else_in_order(tmp_path: Path) -> None:
    rows = [{"note": "kept ☕", **QUESTION}, ["no", "record"], {**QUESTION, "pred_distribution": [1, 0]}]
    found = read_records(save(tmp_path, rows), "distributional-globalopinionqa")
    write_atomic(tmp_path / "out.json", encode_rows(found.filled({0: [0.5, 0.5]})))
    written = json.loads((tmp_path / "out.json").read_bytes())
    assert written == [
        {**rows[0], "pred_distribution": [0.5, 0.5]},
        rows[1],
        {**rows[2], "pred_distribution": None},  # an answer that came with the file is not this program's
    ]
    assert [list(row) for row in written[::2]] == [list(row) for row in rows[::2]]
    assert "☕" in (tmp_path / "out.json").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "records.json"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@given(st.lists(JSON, min_size=1, max_size=5), st.sampled_from(list(TASKS)))
def test_any_json_list_is_read_or_named_by_index(scratch: Path, rows: list[Any], task: str) -> None:
    for shape in (rows, [{**QUESTION, **row} if isinstance(row, dict) else row for row in rows]):
        found = read_records(save(scratch, shape), task)
        assert sorted([*found.records, *(bad.index for bad in found.bad)]) == list(range(len(shape)))
        assert all(bad.reason for bad in found.bad)
        assert len(found.filled({})) == len(shape)


@given(st.lists(JSON, min_size=1, max_size=5))
@example(["a lone surrogate: \ud800"])
def test_what_is_written_reads_the_same(scratch: Path, rows: list[Any]) -> None:
    read = read_records(save(scratch, rows), "overton-vk").rows
    assert repr(read) == repr(tuple(rows))  # unlike ==, the same for NaN
