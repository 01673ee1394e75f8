"""One way to the records of a task: the sample, a file, a folder, or a dataset by its name."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import datasets
import pytest

from modplural.data import SAMPLES, TASKS, RecordFileError, encode_rows, read_records
from modplural.data.sources import SOURCES, SourceError, find_source, load_task, source_of

WriteCSV = Callable[[str, Sequence[Mapping[str, str]]], Path]

QUESTION = {"question": "Tea?", "selections": "{'Atlantis': [0.5, 0.5], 'Thule': [1, 0]}", "options": "['Yes', 'No']"}
RECORDS = "distributional-globalopinionqa"


@pytest.mark.parametrize("task", SAMPLES)
def test_without_a_source_it_is_the_sample(task: str) -> None:
    found = load_task(task)
    assert found.task.name == task
    assert len(found.records) == len(found.rows) >= 4


def test_a_file_in_the_common_format_is_read_as_the_task(tmp_path: Path, write_csv: WriteCSV) -> None:
    loaded = load_task(RECORDS, write_csv("data/global_opinions.csv", [QUESTION]))
    path = tmp_path / "records.json"
    path.write_bytes(encode_rows(loaded.rows))
    found = load_task(RECORDS, str(path))
    assert (found.rows, found.records, found.digest) == (loaded.rows, loaded.records, loaded.digest)
    assert found == read_records(path, RECORDS)


def test_a_csv_file_may_have_any_name(write_csv: WriteCSV) -> None:
    place = write_csv("mine.csv", [QUESTION])
    assert len(load_task(RECORDS, place / "mine.csv").records) == 2


def test_a_limit_counts_records(write_csv: WriteCSV) -> None:
    place = write_csv("data/global_opinions.csv", [QUESTION] * 3)
    assert [len(load_task(RECORDS, place, limit=limit).rows) for limit in (1, 3, 9)] == [1, 3, 6]
    assert len(load_task(RECORDS, limit=2).rows) == 2
    with pytest.raises(ValueError, match="limit is 0"):
        load_task(RECORDS, place, limit=0)


@pytest.mark.parametrize("name", ["moralchoice", "ninoscherrer/moralchoice"])
def test_a_dataset_is_fetched_from_the_hub_by_name_or_id(name: str, hub: Path, write_csv: WriteCSV) -> None:
    scenario = {"context": "It rains.", "action1": "None", "action2": "I share.", "a1_pain": "No"}
    write_csv("scenarios/moralchoice_low_ambiguity.csv", [{"scenario_id": "001", "ambiguity": "low", **scenario}])
    folder = write_csv(
        "scenarios/moralchoice_high_ambiguity.csv", [{"scenario_id": "H_2", "ambiguity": "high", **scenario}]
    )
    (folder / "question_templates").mkdir()
    (folder / "question_templates" / "ab.json").write_text('{"name": "ab"}')  # what the hub shows as the dataset
    (hub / "ninoscherrer").mkdir(parents=True)
    folder.rename(hub / "ninoscherrer" / "moralchoice")
    found = load_task("distributional-moralchoice", name)
    assert str(found.path) == "ninoscherrer/moralchoice"
    assert sorted(record.id for record in found.records.values()) == ["001", "H_2"]
    assert found.rows[0]["options"] == ["None", "I share."]
    assert found.digest == load_task("distributional-moralchoice", hub / "ninoscherrer").digest


def test_a_configuration_among_others_is_fetched(hub: Path, write_csv: WriteCSV) -> None:
    row = {"situation": "Rain", "vrd": "Value", "text": "Care", "valence": "Either", "explanation": "NA"}
    write_csv("valence/valence_train.csv", [{"input": "x", "output": "y"}])
    folder = write_csv("full/all.csv", [row])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: full\n  data_files: full/*csv\n  default: true\n"
        "- config_name: valence\n  data_files:\n  - {split: train, path: valence/*train.csv}\n---\n"
    )
    (hub / "allenai").mkdir(parents=True)
    folder.rename(hub / "allenai" / "ValuePrism")
    assert load_task("overton-vk", "valueprism").rows[0]["explanation"] == ["NA"]


def test_what_is_in_the_cache_is_read_without_a_network(
    cache_dataset: Callable[[str], Path], write_csv: WriteCSV
) -> None:
    source = find_source("globalopinionqa")
    folder = cache_dataset("Anthropic/llm_global_opinions")
    assert not source.cached()
    written = write_csv("data/global_opinions.csv", [QUESTION])
    (written / "data").rename(folder / "data")
    assert source.cached()
    assert len(load_task(RECORDS, "globalopinionqa").records) == 2


def test_half_a_dataset_in_the_cache_is_not_there(cache_dataset: Callable[[str], Path], write_csv: WriteCSV) -> None:
    folder = cache_dataset("ninoscherrer/moralchoice")
    row = {"scenario_id": "1", "ambiguity": "low", "context": "Rain.", "action1": "I share.", "action2": "I run."}
    (write_csv("scenarios/moralchoice_low_ambiguity.csv", [row]) / "scenarios").rename(folder / "scenarios")
    assert not find_source("moralchoice").cached()
    with pytest.raises(SourceError, match=r"holds no scenarios/moralchoice_high_ambiguity\.csv"):
        load_task("distributional-moralchoice", folder)


def test_offline_the_error_says_how_to_get_it() -> None:
    with pytest.raises(SourceError, match=r"globalopinionqa: .*HF_HUB_OFFLINE unset.*data/global_opinions\.csv"):
        load_task(RECORDS, "globalopinionqa")


def test_a_gated_dataset_says_what_to_accept() -> None:
    with pytest.raises(SourceError, match=r"valueprism: .*accept its terms at https://.*ValuePrism and set HF_TOKEN"):
        load_task("steerable-vk", "allenai/ValuePrism")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(datasets, "load_dataset")
    with pytest.raises(SourceError, match=r"ImportError.*pip install 'modplural\[train\]'"):
        load_task(RECORDS, "globalopinionqa")


def test_a_table_without_its_columns_is_refused(write_csv: WriteCSV, tmp_path: Path, hub: Path) -> None:
    place = write_csv("data/global_opinions.csv", [{"question": "Tea?", "answers": "[]"}])
    with pytest.raises(SourceError, match=r"lacks the columns selections, options; it has question, answers"):
        load_task(RECORDS, place)
    with pytest.raises(SourceError, match=r"holds no full/\*\.csv"):
        load_task("overton-vk", place)
    (hub / "Anthropic").mkdir(parents=True)
    place.rename(hub / "Anthropic" / "llm_global_opinions")
    with pytest.raises(SourceError, match=r"llm_global_opinions cannot be read from the hub .*expected.*selections"):
        load_task(RECORDS, "globalopinionqa")


def test_files_that_are_no_text_or_have_no_rows_are_refused(write_csv: WriteCSV) -> None:
    place = write_csv("data/global_opinions.csv", [QUESTION])
    path = place / "data" / "global_opinions.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(SourceError, match="holds no rows"):
        load_task(RECORDS, place)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match=r"global_opinions\.csv is no CSV file in UTF-8"):
        load_task(RECORDS, place)


def test_what_is_nowhere_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.json: neither a file nor a folder, nor one of .*valueprism"):
        load_task(RECORDS, tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match="unknown task 'chess'"):
        load_task("chess")
    with pytest.raises(
        SourceError, match=r"moralchoice serves distributional-moralchoice; overton-vk is made of value"
    ):
        load_task("overton-vk", "moralchoice")
    (tmp_path / "odd.json").write_text(json.dumps({}))
    with pytest.raises(RecordFileError, match=r"odd\.json holds one JSON dict"):
        load_task(RECORDS, tmp_path / "odd.json")


def test_every_task_has_one_dataset() -> None:
    served = [task for source in SOURCES.values() for task in source.tasks]
    assert sorted(served) == sorted(TASKS)
    assert all(task in source_of(task).tasks for task in TASKS)
    with pytest.raises(SourceError, match="chess is made of none of the datasets valueprism"):
        source_of("chess")
    assert all(find_source(source.hub_id) is source for source in SOURCES.values() if source.hub_id)
