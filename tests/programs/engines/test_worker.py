"""The thread: it starts once, sleeps, survives what goes wrong, and ends without leaving anything or anybody behind."""

import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import torch

from modplural.programs.engines import worker as module
from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.generation import GenerationSpec
from modplural.programs.engines.rounds import GenerateJob, Limits
from modplural.programs.engines.sampling import Sampling
from modplural.programs.engines.worker import EngineClosedError, Worker

LIMITS = Limits(rows=64, forward_tokens=2048, cache_cells=10**6)
PATIENCE_S = 20


def generate(tokens: int = 5) -> GenerateJob:
    return GenerateJob(GenerationSpec((10, 11, 12), None, tokens, Sampling()), None)


@pytest.fixture
def make(tiny_model: Path) -> Iterator[Callable[..., Worker]]:
    """Makes workers over the tiny model, which are closed at the end."""
    made: list[Worker] = []

    def make_worker(load: Callable[[], Backbone] | None = None, limits: Any = lambda _: LIMITS) -> Worker:
        made.append(Worker(load or (lambda: load_backbone(tiny_model, "cpu", "float32")), limits))
        return made[-1]

    yield make_worker
    for worker in made:
        worker.close()


def ask(worker: Worker, tokens: int = 5) -> Future[Any]:
    job = generate(tokens)
    worker.submit(job)
    return job.future


def threads() -> int:
    return sum(thread.name == "modplural-engine" for thread in threading.enumerate())


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_many_threads_start_one_thread_and_load_once(make: Callable[..., Worker], tiny_model: Path) -> None:
    loads = []

    def load() -> Backbone:
        loads.append(time.sleep(0.1))
        return load_backbone(tiny_model, "cpu", "float32")

    worker = make(load)
    assert threads() == 0
    with ThreadPoolExecutor(16) as pool:
        facts = list(pool.map(lambda _: worker.facts(), range(32)))
    assert len(loads) == len({id(fact) for fact in facts}) == threads() == 1


def test_a_burst_starts_as_one_batch(make: Callable[..., Worker], passes: list[int]) -> None:
    worker = make()
    worker.facts()
    futures = [ask(worker) for _ in range(20)]
    assert all(future.result(PATIENCE_S).used == 5 for future in futures)
    assert len(passes) <= 6


def test_an_idle_engine_uses_no_processor(make: Callable[..., Worker]) -> None:
    worker = make()
    ask(worker).result(PATIENCE_S)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05


def test_a_failed_load_reaches_everybody_who_waits_and_is_tried_again(
    make: Callable[..., Worker], tiny_model: Path
) -> None:
    outcomes: list[Exception | None] = [ValueError("not today"), None]

    def load() -> Backbone:
        time.sleep(0.05)
        error = outcomes.pop(0)
        if error:
            raise error
        return load_backbone(tiny_model, "cpu", "float32")

    worker = make(load)
    job = generate()
    worker.submit(job)
    with pytest.raises(ValueError, match="not today"):
        worker.facts()
    with pytest.raises(ValueError, match="not today"):
        job.future.result(PATIENCE_S)
    assert ask(worker).result(PATIENCE_S).used == 5


def test_limits_that_cannot_be_found_are_an_error_not_a_wait(make: Callable[..., Worker]) -> None:
    def limits(backbone: Backbone) -> Limits:
        raise RuntimeError("no such device")

    worker = make(limits=limits)
    with pytest.raises(RuntimeError, match="no such device"):
        ask(worker).result(PATIENCE_S)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit(1)])
def test_a_thread_that_dies_fails_what_it_had_and_the_next_request_starts_another(
    error: BaseException, make: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make()
    worker.facts()

    def broken(self: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module.Rounds, "run", broken)
        futures = [ask(worker) for _ in range(5)]
        wait(futures, PATIENCE_S)
        assert {future.exception() for future in futures} == {error}
    assert ask(worker).result(PATIENCE_S).used == 5


def test_closing_fails_what_is_left_and_what_comes_later(make: Callable[..., Worker]) -> None:
    worker = make()
    running = ask(worker, tokens=10**6)
    waiting = [ask(worker, tokens=10**6) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: worker.close(), range(4)))
    for future in (running, *waiting):
        with pytest.raises(EngineClosedError, match="closed before this request was done"):
            future.result(0)
    with pytest.raises(EngineClosedError, match="the engine was closed"):
        worker.submit(generate())
    with pytest.raises(EngineClosedError, match="the engine was closed"):
        worker.facts()
    worker.close()
    assert threads() == 0


def test_closing_while_loading_waits_and_frees(make: Callable[..., Worker], tiny_model: Path) -> None:
    started, release = threading.Event(), threading.Event()

    def load() -> Backbone:
        started.set()
        release.wait(PATIENCE_S)
        return load_backbone(tiny_model, "cpu", "float32")

    worker = make(load)
    pending = ask(worker)
    assert started.wait(PATIENCE_S)
    closing = threading.Thread(target=worker.close)
    closing.start()
    release.set()
    closing.join(PATIENCE_S)
    assert isinstance(pending.exception(0), EngineClosedError)
    assert threads() == 0


def test_a_worker_that_never_started_closes(make: Callable[..., Worker]) -> None:
    worker = make()
    worker.close()
    assert worker.closed


def test_closing_frees_the_model_even_where_an_error_is_kept(
    make: Callable[..., Worker], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[Any]] = []

    def load() -> Backbone:
        backbone = load_backbone(tiny_model, "cpu", "float32")
        models.append(weakref.ref(backbone.model))
        return backbone

    worker = make(load)
    facts = worker.facts()
    with monkeypatch.context() as patch:
        patch.setattr(Backbone, "_forward", out_of_memory)
        error = ask(worker).exception(PATIENCE_S)
    kept = ask(worker).result(PATIENCE_S)
    worker.close()
    assert models[0]() is None
    assert (str(error), kept.used, facts.context) == ("no room", 5, 256)


def out_of_memory(*args: object, **kwargs: object) -> None:
    tensor = torch.zeros(1)
    raise MemoryError("no room") from ValueError(str(tensor.shape))


def test_a_cancelled_request_leaves_its_batch(make: Callable[..., Worker], passes: list[int]) -> None:
    worker = make()
    long = ask(worker, tokens=10**6)
    assert eventually(lambda: len(passes) > 3)
    assert long.cancel()
    assert ask(worker).result(PATIENCE_S).used == 5
    time.sleep(0.05)
    quiet = len(passes)
    time.sleep(0.05)
    assert len(passes) == quiet


PROGRAM = """
import contextlib, sys, threading, time
from pathlib import Path
sys.path.insert(0, {root!r})
import dspy
from dspy.utils.exceptions import LMError
from modplural.programs.engines.local import local_lm

dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
lm = local_lm("local/{model}", device="cpu", dtype="float32", max_tokens=200)

def ask(times):
    with contextlib.suppress(LMError):  # asked when the engine is closed
        for _ in range(times):
            lm("say what is right")

{body}
"""


def run_program(model: Path, body: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(root=str(Path.cwd()), model=model, body=body)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120, **options
    )


def test_an_interpreter_that_ends_while_the_engine_is_busy_ends_well(tiny_model: Path) -> None:
    done = run_program(
        tiny_model,
        """
lm.engine._lease.worker.facts()
for _ in range(4):
    threading.Thread(target=ask, args=[1000], daemon=True).start()
time.sleep(0.5)
print("over")
""",
    )
    assert (done.returncode, done.stdout) == (0, "over\n")
    assert "Traceback" not in done.stderr


def test_an_interpreter_that_ends_while_loading_ends_well(tiny_model: Path) -> None:
    done = run_program(
        tiny_model,
        """
threading.Thread(target=ask, args=[1], daemon=True).start()
time.sleep(0.01)
print("over")
""",
    )
    assert (done.returncode, done.stdout) == (0, "over\n")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(sys, "platform") or sys.platform == "win32", reason="no fork there")
def test_a_forked_process_loads_for_itself(tiny_model: Path) -> None:
    done = run_program(
        tiny_model,
        """
import os
first = lm("say what is right")
child = os.fork()
if child == 0:
    again = lm("say what is right")
    os._exit(0 if again == first else 3)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), lm("say what is right") == first)
""",
    )
    assert (done.returncode, done.stdout) == (0, "0 True\n")
