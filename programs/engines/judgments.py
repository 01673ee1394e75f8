"""Declared judgments: an answer that is a distribution over the keys a response format declares.

A judgment is a top-level property of a `json_schema` response format that declares its answers: a boolean, a string
`enum` (or `anyOf` of `const`), or an ordered integer one; `dspy.lm15` documents the convention and writes it with
`judgments(...)`, `choice`, `yes_no` and `score`. This file reads it and answers it from likelihoods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dspy.lm15 import DataPart, InvalidRequestError, Message, Request, Response, Usage

from .scoring import Likelihood, Turn


@dataclass(frozen=True)
class DeclaredJudgment:
    """One judgment: its question, its keys in order, and a label for each key that has one."""

    name: str
    kind: Literal["boolean", "choice", "ordered"]
    keys: tuple[str, ...]
    question: str
    labels: Mapping[str, str]

    def turn(self) -> Turn:
        """The question as a final user turn."""
        lines = [f"- {key}: {self.labels[key]}" if key in self.labels else f"- {key}" for key in self.keys]
        return Turn("user", "\n".join([self.question, *lines, "Reply with one of these, spelled as listed."]))

    def value(self, key: str) -> bool | int | str:
        """The JSON value that a key stands for."""
        return {"boolean": key == "true", "choice": key, "ordered": int(key) if self.kind == "ordered" else key}[
            self.kind
        ]


def declared_judgments(request: Request) -> tuple[DeclaredJudgment, ...]:
    """The judgments of a request's response format; empty where it asks for anything else beside them."""
    schema = (request.config.response_format or {}).get("schema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not properties:
        return ()
    found = [_read(str(name), entry) for name, entry in properties.items()]
    return tuple(j for j in found if j is not None) if None not in found else ()


def judgments_response(
    request: Request, judgments: Sequence[DeclaredJudgment], scores: Sequence[Sequence[Likelihood]], usage: Usage
) -> Response:
    """Answer with a distribution over each judgment's keys, and the likelihood that all keys cover together.

    Args:
        request: The request to answer.
        judgments: Its judgments.
        scores: One list per judgment, aligned with its keys.
        usage: Tokens that were run.

    Raises:
        dspy.lm15.InvalidRequestError: No key of a judgment has any likelihood.
    """
    value: dict[str, Any] = {}
    probabilities: dict[str, dict[str, float]] = {}
    coverage: dict[str, float] = {}
    for judgment, row in zip(judgments, scores, strict=True):
        likelihoods = [math.exp(score.logprob) for score in row]
        top = max(score.logprob for score in row)
        if top == -math.inf:
            raise InvalidRequestError(f"no key of judgment {judgment.name!r} has any likelihood")
        weights = [math.exp(score.logprob - top) for score in row]
        found = {key: weight / sum(weights) for key, weight in zip(judgment.keys, weights, strict=True)}
        value[judgment.name] = judgment.value(max(found, key=found.__getitem__))
        probabilities[judgment.name] = found
        coverage[judgment.name] = sum(likelihoods)
    part = DataPart(value=value, probabilities=probabilities, method="candidate_sequence_likelihood")
    return Response(
        id=None,
        model=request.model,
        message=Message(role="assistant", parts=(part,)),
        finish_reason="stop",
        usage=usage,
        provider_data={"coverage": coverage},
    )


def _read(name: str, entry: Any) -> DeclaredJudgment | None:
    if not isinstance(entry, Mapping):
        return None
    question = str(entry.get("description") or name)
    if entry.get("type") == "boolean":
        return DeclaredJudgment(name, "boolean", ("true", "false"), question, {})
    branches = entry.get("anyOf") or [{"const": value} for value in entry.get("enum") or ()]
    if not branches or not all(isinstance(branch, Mapping) and "const" in branch for branch in branches):
        return None
    values = [branch["const"] for branch in branches]
    keys = tuple(map(str, values))
    labels = {key: _label(branch) for key, branch in zip(keys, branches, strict=True) if _label(branch)}
    if all(isinstance(value, str) and value for value in values) and len(set(keys)) == len(keys):
        return DeclaredJudgment(name, "choice", keys, question, labels)
    if values == list(range(len(values))) and not any(isinstance(value, bool) for value in values):
        return DeclaredJudgment(name, "ordered", keys, question, labels)
    return None


def _label(branch: Mapping[str, Any]) -> str:
    return " - ".join(str(branch[key]) for key in ("title", "description") if branch.get(key))
