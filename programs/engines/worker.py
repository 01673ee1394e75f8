"""One thread that owns a model and serves everybody: requests gather into batches while it works.

The thread sleeps when there is nothing to do, and ends when it is told to. This file knows threads; what runs next is
decided in `rounds`, and what a request says elsewhere.
"""

from __future__ import annotations

import atexit
import gc
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import torch

from .backbone import Backbone, ModelFacts
from .rounds import GenerateJob, Limits, Rounds, ScoreJob, ScoreResult, default_limits, fail, resolve

__all__ = ["EngineClosedError", "GenerateJob", "ScoreJob", "ScoreResult", "Worker", "default_limits"]

_LINGER_S = 0.002
_LONGEST_LINGER_S = 0.010


class EngineClosedError(RuntimeError):
    """The engine was closed while or before a request ran."""


class Worker:
    """The thread, its inbox and its way to stop."""

    def __init__(self, load: Callable[[], Backbone], limits: Callable[[Backbone], Limits]) -> None:
        """A worker that will load its model on the first request."""
        self._load = load
        self._limits = limits
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        """Begin with nothing: at first, and in a forked process, which inherits neither the thread nor a safe lock."""
        self._process = os.getpid()
        self._wake = threading.Condition()
        self._inbox: deque[GenerateJob | ScoreJob] = deque()
        self._thread: threading.Thread | None = None
        self._facts: Future[ModelFacts] = Future()

    @property
    def closed(self) -> bool:
        """Whether it was told to stop."""
        return self._closed

    def facts(self) -> ModelFacts:
        """What is to know of the model; loads it on the first call and waits for it.

        Raises:
            EngineClosedError: The worker was stopped.
            Exception: Whatever loading raised; the next call tries again.
        """
        return self._start().result()

    def submit(self, job: GenerateJob | ScoreJob) -> None:
        """Queue a job; its future tells how it went.

        Raises:
            EngineClosedError: The worker was stopped.
        """
        self._start(job)

    def stop(self) -> None:
        """Tell the thread to end after the pass under way, fail what is left and free the model; does not wait."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def close(self) -> None:
        """Stop, and wait until the model is freed. Closing twice is harmless."""
        self.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start(self, job: GenerateJob | ScoreJob | None = None) -> Future[ModelFacts]:
        """Start the thread if there is none, and leave it a job."""
        if self._process != os.getpid():
            self._reset()
        with self._wake:
            if self._closed:
                raise EngineClosedError("the engine was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="modplural-engine", daemon=True)
                self._thread.start()
            if job is not None:
                self._inbox.append(job)
                self._wake.notify()
            return self._facts

    def _run(self) -> None:
        atexit.register(self.close)  # a thread that computes while the interpreter goes away would crash it
        self._serve()
        gc.collect()  # modules and their hooks refer to each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        atexit.unregister(self.close)

    @torch.inference_mode()
    def _serve(self) -> None:
        """Load the model and run rounds until stopped; whatever goes wrong reaches everybody who waits."""
        rounds: Rounds | None = None
        reason: BaseException = EngineClosedError("the engine was closed before this request was done")
        try:
            backbone = self._load()
            rounds = Rounds(backbone, self._limits(backbone))
            resolve(self._facts, backbone.facts)
            while self._collect(rounds):
                rounds.run()
        except BaseException as error:
            reason = error
        with self._wake:
            left, self._inbox = self._inbox, deque()
            facts, self._facts = self._facts, Future()
            if not self._closed:
                self._thread = None
        fail(facts, reason)
        for job in left:
            fail(job.future, reason)
        if rounds is not None:
            rounds.abandon(reason)

    def _collect(self, rounds: Rounds) -> bool:
        """Move the inbox to the rounds, sleeping while there is nothing at all to do; False when stopped."""
        with self._wake:
            if not rounds.busy and not self._closed:
                while not self._inbox and not self._closed:
                    self._wake.wait()
                self._linger()
            arrived, self._inbox = self._inbox, deque()
        for job in arrived:
            rounds.take(job)
        return not self._closed

    def _linger(self) -> None:
        """Wait a moment while more requests keep arriving, so that a burst starts as one batch."""
        end = time.monotonic() + _LONGEST_LINGER_S
        seen = 0
        while len(self._inbox) > seen and not self._closed and time.monotonic() < end:
            seen = len(self._inbox)
            self._wake.wait(_LINGER_S)
