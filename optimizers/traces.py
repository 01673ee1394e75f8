"""Traces of a share of a run's rows, kept in MLflow and linked to the run.

Which rows are traced depends on their keys and a seed alone, so that two methods, and a run that goes on, trace the
same ones. Spans are recorded in memory and written when the row has ended. Tracing is off unless a share is asked for.
This file knows runs and spans; it must not know what a row is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import dspy

from ..programs.errors import reason, redacted
from .spans import Span, SpanRecorder
from .tracking import TrackedRun

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

_KINDS = {"program": "CHAIN", "community": "AGENT", "predictor": "CHAIN", "lm": "LLM"}
"""MLflow's span types, which its UI has icons for."""

KEY_TAG = "modplural.row"
"""Tag of a trace: the key of its row."""

METHOD_TAG = "modplural.method"
"""Tag of a trace: what the program is called where several answer the same rows."""


class RowTraces:
    """Traces a share of the rows that a program answers.

    Attributes:
        share: Of the rows; 0 traces none and costs nothing.
        seed: Another one traces other rows.
        method: What the program is called where several answer the same rows; it tags the traces.
    """

    def __init__(
        self, run: TrackedRun, program: dspy.Module, share: float, seed: int = 0, method: str | None = None
    ) -> None:
        """Trace for a run.

        Raises:
            ValueError: The share is none.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"the share of rows that are traced is {share}; it is a number from 0 to 1")
        self.share = share
        self.seed = seed
        self.method = method
        self._run = run
        self._program = program
        self._lms = [lm for _, lm in program.named_sub_modules(dspy.BaseLM)]

    def chosen(self, key: str) -> bool:
        """Whether the row of that key, such as its record's digest, is traced."""
        drawn = int.from_bytes(hashlib.sha256(f"{self.seed} {key}".encode()).digest()[:8])
        return drawn < self.share * 2**64

    @contextmanager
    def row(self, key: str) -> Iterator[None]:
        """Trace what the program does in this block, if the row is chosen."""
        if not self.chosen(key):
            yield
            return
        recorder = SpanRecorder(self._program)
        try:
            with dspy.context(callbacks=[*dspy.settings.get("callbacks", []), recorder]):
                yield
        finally:
            self._write(recorder.told(), key)

    @staticmethod
    def flush() -> None:
        """Wait until everything is written; MLflow writes traces in a thread of its own."""
        import mlflow

        mlflow.flush_trace_async_logging()

    def _write(self, spans: Sequence[Span], key: str) -> None:
        """Write spans as one trace; parents began before their children."""
        live: dict[str, LiveSpan] = {}
        root: LiveSpan | None = None
        for span in spans:
            parent = live.get(span.parent or "", root)
            live[span.id] = self._start(span, parent, key)
            root = root or live[span.id]
        for span in reversed(spans):
            if span.error is not None:
                live[span.id].set_status("ERROR")
                live[span.id].set_attribute("error", reason(_exception(span.error), *self._lms))
            live[span.id].end(self._clean(span.outputs), end_time_ns=span.ended or span.started)

    def _start(self, span: Span, parent: LiveSpan | None, key: str) -> LiveSpan:
        from mlflow import start_span_no_context

        of_trace: dict[str, Any] = {
            "tags": {KEY_TAG: key, **({} if self.method is None else {METHOD_TAG: self.method})},
            "metadata": {"mlflow.sourceRun": self._run.run_id},
            "experiment_id": self._run.experiment_id,
        }
        return start_span_no_context(
            span.name,
            span_type=_KINDS[span.kind],
            parent_span=parent,
            inputs=self._clean(span.inputs),
            start_time_ns=span.started,
            **(of_trace if parent is None else {}),
        )

    def _clean(self, value: Any) -> Any:
        """JSON data of a value, without what is secret in this process: texts may repeat what a server was sent."""
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, dspy.Prediction):
            value = dict(value.items())
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        if isinstance(value, Mapping):
            return {str(name): self._clean(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(part) for part in value]
        return redacted(str(value), *self._lms)


def _exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
