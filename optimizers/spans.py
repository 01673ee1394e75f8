"""What happened while a program answered one question: spans with names that people know, recorded by a DSPy callback.

A span is named after the community, predictor or LM that was asked. Of what an LM was called with, its prompt is kept
and nothing else, because keys and headers are among the rest. This file knows DSPy's callbacks; it must not know where
spans are kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dspy
from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback

from ..programs.community import CommunityLM
from ..programs.messages import Message

_ARGUMENTS = ("query", "attribute", "options")
"""Of a program, in the order in which it takes them."""

Kind = Literal["program", "community", "predictor", "lm"]


@dataclass
class Span:
    """One call.

    Attributes:
        id: DSPy's id of the call.
        parent: The call that it was part of; that of the program has none of ours above it.
        name: Who was asked.
        kind: What that is.
        inputs: What was asked.
        started: Nanoseconds since 1970.
        ended: The same; None while it goes on.
        outputs: What was answered.
        error: What was raised.
    """

    id: str
    parent: str | None
    name: str
    kind: Kind
    inputs: Any
    started: int
    ended: int | None = None
    outputs: Any = None
    error: BaseException | None = None


class SpanRecorder(BaseCallback):
    """Keeps the spans of what is called while it is among DSPy's callbacks, in the order in which they began."""

    def __init__(self, program: dspy.Module) -> None:
        """Learn the names of a program's parts."""
        self.spans: dict[str, Span] = {}
        self._names = _names(program)

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Open the span of the program or a predictor; DSPy calls this."""
        name, kind = self._names.get(id(instance), (type(instance).__name__, "predictor"))
        asked = {**dict(zip(_ARGUMENTS, inputs.get("args", ()), strict=False)), **inputs.get("kwargs", {})}
        asked.pop("lm", None)
        asked.pop("demos", None)  # they stand in the prompt
        self._open(call_id, name, kind, asked)

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Open the span of an LM; DSPy calls this."""
        self._open(call_id, instance.model, "lm", _prompt(inputs))

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Close a span; DSPy calls this."""
        self._close(call_id, outputs, exception)

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Close a span; DSPy calls this."""
        self._close(call_id, outputs if isinstance(outputs, list) else None, exception)

    def told(self) -> list[Span]:
        """All spans; a message that was kept from before, so that nobody was asked for it, has one at the end."""
        spans = list(self.spans.values())
        heard = {span.name for span in spans if span.kind == "community"}
        roots = [span for span in spans if span.kind == "program" and span.outputs is not None]
        return spans + [
            _kept(message, root)
            for root in roots
            for message in root.outputs.get("messages", ())
            if message.community not in heard
        ]

    def _open(self, call_id: str, name: str, kind: Kind, inputs: Any) -> None:
        self.spans[call_id] = Span(call_id, ACTIVE_CALL_ID.get(), name, kind, inputs, time.time_ns())

    def _close(self, call_id: str, outputs: Any, error: BaseException | None) -> None:
        span = self.spans[call_id]
        span.outputs, span.error, span.ended = outputs, error, time.time_ns()


def _kept(message: Message, root: Span) -> Span:
    at = root.ended or root.started
    said = {"message": message.text}
    return Span(f"kept {message.community}", root.id, message.community, "community", {"kept": True}, at, at, said)


def _names(program: dspy.Module) -> dict[int, tuple[str, Kind]]:
    """Name and kind by the id of each part."""
    names: dict[int, tuple[str, Kind]] = {id(program): (type(program).__name__, "program")}
    for place, predictor in program.named_predictors():
        names[id(predictor)] = (place.rpartition(".")[2], "predictor")
    for _, community in program.named_sub_modules(CommunityLM):
        names |= {id(part): (community.name, "community") for part in (community, community.comment)}
    return names


def _prompt(inputs: Mapping[str, Any]) -> Any:
    """The text that an LM was sent; of a request that measures, which is no text, nothing."""
    if inputs.get("messages") is not None:
        return {"messages": inputs["messages"]}
    return {"prompt": inputs["prompt"]} if isinstance(inputs.get("prompt"), str) else {}
