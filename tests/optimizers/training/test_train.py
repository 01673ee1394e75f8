"""Training on a tiny model: the adapter works in the engine, a stop loses one epoch at most, nothing is overwritten."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from modplural.data.corpus import Comment, Corpus, CorpusError
from modplural.optimizers.training import TrainingError, TrainingSettings, train_community
from modplural.programs.engines.local import local_lm

SETTINGS = TrainingSettings(
    epochs=3, patience=3, learning_rate=0.01, batch_size=4, rank=2, targets=("q_proj", "v_proj")
)
CORPUS = Corpus(tuple(Comment(query=f"right {n}?", message=f"what is fair {n}") for n in range(20)), "made up")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


def train(tiny_model: Path, output: str, **options: Any) -> Any:
    return train_community(
        "fair", CORPUS, base=f"local/{tiny_model}", output=output, settings=SETTINGS, device="cpu", **options
    )


@pytest.mark.filterwarnings("ignore")
def test_a_trained_adapter_speaks_and_is_tracked(tiny_model: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    steps = []
    trained = train(tiny_model, "fair", on_progress=steps.append)
    assert trained.perplexity < trained.perplexity_before
    assert (trained.comments, trained.epochs) == (18, 3.0)
    assert [(p.step, p.steps) for p in steps] == [(n, 15) for n in range(1, 16)]
    folder = tmp_path / "fair"
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert str(tiny_model.parent) not in (folder / "adapter_config.json").read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".fair")] == []
    lm = local_lm(f"local/{tiny_model}", adapter=str(folder), device="cpu", dtype="float32", max_tokens=8, cache=False)
    plain = local_lm(f"local/{tiny_model}", device="cpu", dtype="float32", max_tokens=8, cache=False)
    assert lm("right 3?") != plain("right 3?")
    run = MlflowClient().get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["corpus_digest"] == CORPUS.digest
    assert run.data.metrics["perplexity"] == pytest.approx(trained.perplexity)


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_training_goes_on_and_ends_alike(tiny_model: Path, tmp_path: Path) -> None:
    train(tiny_model, "whole")

    def stop(progress: Any) -> None:
        if progress.step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, "parted", on_progress=stop)
    (work,) = tmp_path.glob(".parted.training-*")
    assert sorted(path.name for path in (work / "checkpoints").iterdir()) == ["checkpoint-10", "checkpoint-5"]
    (work / "checkpoints" / "checkpoint-12").mkdir()  # as a kill leaves one that was being written
    steps: list[int] = []
    train(tiny_model, "parted", on_progress=lambda progress: steps.append(progress.step))
    assert steps == [11, 12, 13, 14, 15]
    whole, parted = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "parted"))
    assert all(whole[key].equal(parted[key]) for key in whole)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_adapter_is_never_overwritten(overwrite: bool, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no adapter; what is in it would be lost"):
        train(tiny_model, "mine", overwrite=overwrite)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_is_overwritten_when_asked_for(
    tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_adapters["care"], tmp_path / "mine")
    with pytest.raises(FileExistsError, match="holds an adapter, which would be lost"):
        train(tiny_model, "mine")
    before = (tmp_path / "mine" / "adapter_model.safetensors").read_bytes()
    train(tiny_model, "mine", overwrite=True)
    assert (tmp_path / "mine" / "adapter_model.safetensors").read_bytes() != before
    assert "A LoRA adapter that makes" in (tmp_path / "mine" / "README.md").read_text()


@pytest.mark.filterwarnings("ignore")
def test_training_ends_when_the_validation_perplexity_no_longer_falls(tiny_model: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 40, "patience": 1, "learning_rate": 0.05})
    seen: list[Any] = []
    trained = train_community(
        "fair", CORPUS, base=f"local/{tiny_model}", settings=settings, device="cpu", on_progress=seen.append
    )
    assert trained.folder == Path("adapters", "fair")
    assert trained.epochs < 40
    assert trained.perplexity == min(seen[-1].perplexities)


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_that_learned_nothing_is_not_written(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e3, "epochs": 1})
    with pytest.raises(TrainingError, match="learned nothing"):
        train_community("fair", CORPUS, base=f"local/{tiny_model}", output="fair", settings=settings, device="cpu")
    assert not (tmp_path / "fair").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_comment_longer_than_the_base_reads_is_the_corpus_fault(tiny_model: Path) -> None:
    corpus = Corpus((*CORPUS.comments, Comment(query="long?", message="fair " * 500)), "made up")
    with pytest.raises(CorpusError, match=r"made up: the comment on 'long\?' has \d+ tokens .* reads 256; shorten it"):
        train_community("fair", corpus, base=f"local/{tiny_model}", settings=SETTINGS, device="cpu")


@pytest.mark.filterwarnings("ignore")
def test_a_training_stays_on_the_processor_that_was_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    asked: list[bool] = []
    make = Trainer.__init__

    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        asked.append(kwargs["args"].use_cpu)
        make(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "__init__", note)
    train(tiny_model, "fair")
    assert asked == [True]
