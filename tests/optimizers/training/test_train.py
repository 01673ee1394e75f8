"""Training on a tiny model: the adapter works in the engine, a stop loses one epoch at most, nothing is overwritten."""

import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

from modplural.data.corpus import Comment, Corpus, CorpusError
from modplural.optimizers.tracking import TrackedRun, tracking_client
from modplural.optimizers.training import (
    DeviceError,
    TrainedCommunity,
    TrainingError,
    TrainingSettings,
    train_community,
)
from modplural.optimizers.training.train import EXPERIMENT
from modplural.programs.engines.local import local_lm

SETTINGS = TrainingSettings(
    epochs=3, patience=3, learning_rate=0.01, batch_size=4, rank=2, targets=("q_proj", "v_proj")
)
CORPUS = Corpus(tuple(Comment(query=f"right {n}?", message=f"what is fair {n}") for n in range(20)), "made up")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


def train(tiny_model: Path, output: str, **options: Any) -> Any:
    return train_community(
        "fair", CORPUS, base=f"local/{tiny_model}", output=output, settings=SETTINGS, device="cpu", **options
    )


@pytest.mark.filterwarnings("ignore")
def test_a_trained_adapter_speaks_and_is_tracked(tiny_model: Path, tmp_path: Path) -> None:
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
    run = tracking_client().get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["corpus_digest"] == CORPUS.digest
    assert run.data.metrics["perplexity"] == pytest.approx(trained.perplexity)


@pytest.mark.filterwarnings("ignore")
def test_a_base_of_another_architecture_is_adapted_whole(tiny_model: Path, tmp_path: Path) -> None:
    base = tmp_path / "neox"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPTNeoXForCausalLM(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    settings = SETTINGS.model_copy(update={"targets": None, "epochs": 1})
    train_community("fair", CORPUS, base=f"local/{base}", output="fair", settings=settings, device="cpu")
    card = (tmp_path / "fair" / "README.md").read_text()
    assert "| targets | query_key_value, dense, dense_h_to_4h, dense_4h_to_h |" in card
    adapted = {name.split(".lora_")[0] for name in load_file(tmp_path / "fair" / "adapter_model.safetensors")}
    assert len(adapted) == 2 * 4
    lm, plain = (
        local_lm(f"local/{base}", adapter=adapter, device="cpu", dtype="float32", max_tokens=8, cache=False)
        for adapter in (str(tmp_path / "fair"), None)
    )
    assert lm("right 3?") != plain("right 3?")


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
    run_id = (work / "mlflow-run").read_text()
    assert tracking_client().get_run(run_id).info.status == "KILLED"
    (work / "checkpoints" / "checkpoint-12").mkdir()  # as a kill leaves one that was being written
    steps: list[int] = []
    trained = train(tiny_model, "parted", on_progress=lambda progress: steps.append(progress.step))
    assert (trained.run_id, tracking_client().get_run(run_id).info.status) == (run_id, "FINISHED")
    assert steps == [11, 12, 13, 14, 15]
    whole, parted = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "parted"))
    assert all(whole[key].equal(parted[key]) for key in whole)


@pytest.mark.filterwarnings("ignore")
def test_a_training_goes_on_in_whatever_order_its_layers_are_named(tiny_model: Path) -> None:
    stopped(tiny_model, "fair", 12)
    steps: list[int] = []
    train_community(
        "fair",
        CORPUS,
        base=f"local/{tiny_model}",
        output="fair",
        settings=SETTINGS.model_copy(update={"targets": ("v_proj", "q_proj", "v_proj")}),
        device="cpu",
        on_progress=lambda progress: steps.append(progress.step),
    )
    assert steps == [11, 12, 13, 14, 15]


def stopped(tiny_model: Path, output: str, step: int) -> Path:
    """The folder of the checkpoints of a training that was stopped at a step."""

    def stop(progress: Any) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, output, on_progress=stop)
    (work,) = Path().glob(f".{output}.training-*")
    return work / "checkpoints"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
)
def test_a_training_goes_on_from_the_checkpoint_before_a_torn_one(name: str, tiny_model: Path) -> None:
    torn = stopped(tiny_model, "fair", 12) / "checkpoint-10" / name
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    steps: list[int] = []
    train(tiny_model, "fair", on_progress=lambda progress: steps.append(progress.step))
    assert steps == list(range(6, 16))


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_gone_on_from_is_named(tiny_model: Path) -> None:
    damaged = stopped(tiny_model, "fair", 12) / "checkpoint-10"
    with ZipFile(damaged / "rng_state.pth", "w") as archive:
        archive.writestr("data", "whole, and of another kind")
    for _ in range(2):
        with pytest.raises(TrainingError, match=f"cannot go on .* delete the folder {damaged}, and") as caught:
            train(tiny_model, "fair")
    assert type(caught.value.__cause__).__name__ in str(caught.value)
    shutil.rmtree(damaged)
    steps: list[int] = []
    train(tiny_model, "fair", on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 6


@pytest.mark.filterwarnings("ignore")
def test_what_fails_after_a_training_went_on_is_no_fault_of_its_checkpoint(tiny_model: Path) -> None:
    stopped(tiny_model, "fair", 7)

    def fail(progress: Any) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"^disk full$"):
        train(tiny_model, "fair", on_progress=fail)


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
def test_an_adapter_that_comes_meanwhile_is_kept(
    tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    def put(progress: Any) -> None:
        if progress.step == progress.steps:
            shutil.copytree(tiny_adapters["care"], tmp_path / "mine")

    with pytest.raises(FileExistsError, match="holds an adapter, which would be lost"):
        train(tiny_model, "mine", on_progress=put)
    theirs = (tiny_adapters["care"] / "adapter_model.safetensors").read_bytes()
    assert (tmp_path / "mine" / "adapter_model.safetensors").read_bytes() == theirs
    steps: list[int] = []
    train(tiny_model, "mine", overwrite=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps == [], "what was trained is trained again"
    assert (tmp_path / "mine" / "adapter_model.safetensors").read_bytes() != theirs


@pytest.mark.filterwarnings("ignore")
def test_one_output_is_trained_once_at_a_time_whatever_the_settings(tiny_model: Path, tmp_path: Path) -> None:
    refused: list[TrainingError] = []

    def train_another(progress: Any) -> None:
        if progress.step == 1:
            settings = SETTINGS.model_copy(update={"seed": 1})
            with pytest.raises(TrainingError, match="another process trains fair right now") as caught:
                train_community("fair", CORPUS, base=f"local/{tiny_model}", output="fair", settings=settings)
            refused.append(caught.value)

    train(tiny_model, "fair", on_progress=train_another)
    assert len(refused) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".fair")] == []


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
def test_patience_outlasts_an_interruption(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 40, "patience": 3, "learning_rate": 0.05})

    def trained(output: str, stop: int | None = None, **options: Any) -> TrainedCommunity:
        def listen(progress: Any) -> None:
            if progress.step == stop:
                raise KeyboardInterrupt

        return train_community(
            "fair",
            CORPUS,
            base=f"local/{tiny_model}",
            output=output,
            settings=settings,
            device="cpu",
            on_progress=listen,
            **options,
        )

    whole = trained("whole")
    assert whole.epochs < 40
    with pytest.raises(KeyboardInterrupt):
        trained("parted", stop=5 * (int(whole.epochs) - 1) + 1)  # when two of the three epochs have gone by
    parted = trained("parted")
    assert (parted.epochs, parted.perplexity) == (whole.epochs, whole.perplexity)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("moved", [False, True])
def test_a_training_that_had_ended_is_not_gone_on_with(
    moved: bool, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 40, "patience": 1, "learning_rate": 0.05})

    def trained(output: str) -> TrainedCommunity:
        return train_community(
            "fair", CORPUS, base=f"local/{tiny_model}", output=output, settings=settings, device="cpu"
        )

    def fail(*_: object) -> None:
        raise OSError("disk full")

    whole = trained("whole")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(TrackedRun, "log_folder", fail)
        trained("parted")
    assert not (project / "parted").exists()
    if moved:
        project = project.rename(tmp_path / "elsewhere")
        monkeypatch.chdir(project)
    parted = trained("parted")
    assert (parted.epochs, parted.perplexity) == (whole.epochs, whole.perplexity)
    one, other = (
        load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "whole", project / "parted")
    )
    assert all(one[key].equal(other[key]) for key in one)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_size", [None, 64])
def test_a_single_batch_is_learned_from(batch_size: int | None, tiny_model: Path) -> None:
    corpus = Corpus(CORPUS.comments[:4], "made up")
    settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": batch_size})
    trained = train_community("fair", corpus, base=f"local/{tiny_model}", settings=settings, device="cpu")
    assert trained.comments == 3
    assert trained.perplexity < trained.perplexity_before


@pytest.mark.filterwarnings("ignore")
def test_the_most_epochs_and_those_gone_through_are_both_told(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 40, "patience": 1, "learning_rate": 0.05})
    trained = train_community("fair", CORPUS, base=f"local/{tiny_model}", settings=settings, device="cpu")
    card = (trained.folder / "README.md").read_text()
    assert "| epochs | 40 |" in card
    assert f"| epochs done | {trained.epochs:g} |" in card
    data = tracking_client().get_run(trained.run_id).data
    assert (data.params["epochs"], data.metrics["epochs_done"]) == ("40", trained.epochs)


@pytest.mark.parametrize(
    ("device", "said"), [("foo", "'foo' names no device; .* This machine has cpu"), ("cuda:99", "no device 'cuda:99'")]
)
def test_a_device_that_is_not_there_costs_nothing(device: str, said: str, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=said):
        train_community("fair", CORPUS, base=f"local/{tiny_model}", settings=SETTINGS, device=device)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert tracking_client().get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_that_learned_nothing_is_not_written(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e-30, "epochs": 1})
    with pytest.raises(TrainingError, match=r"learned nothing: .*, or a higher learning rate"):
        train_community("fair", CORPUS, base=f"local/{tiny_model}", output="fair", settings=settings, device="cpu")
    assert [path.name for path in tmp_path.iterdir() if "fair" in path.name] == []


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_that_is_worse_than_the_base_is_not_written(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modplural.optimizers.training import trainer

    monkeypatch.setattr(trainer, "fit", lambda *_: trainer.Trained(None, 10.0, 12.0, 1.0))
    with pytest.raises(TrainingError, match=r"learned nothing: .* 10\.00 to 12\.00; lower the learning rate"):
        train(tiny_model, "fair")
    assert [path.name for path in tmp_path.iterdir() if "fair" in path.name] == []


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
