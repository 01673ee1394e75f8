"""Declared judgments: an answer that is a distribution over the keys a response format declares.

A judgment is a top-level property of a `json_schema` response format that declares its answers: a boolean, a string
`enum` (or `anyOf` of `const`), or an ordered integer one; `dspy.lm15` documents the convention and writes it with
`judgments(...)`, `choice`, `yes_no` and `score`. This file reads it and answers it from likelihoods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dspy.lm15 import DataPart, InvalidRequestError, Message, Request, Response, Usage

from .scoring import Likelihood, Turn


@dataclass(frozen=True)
class DeclaredJudgment:
    """One judgment: its question, its values in order, and a label for each key that has one."""

    name: str
    values: tuple[bool | int | str, ...]
    question: str
    labels: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The values as they are asked for and listed in the answer."""
        return tuple("true" if value is True else "false" if value is False else str(value) for value in self.values)

    def asked_in(self, conversation: Sequence[Turn]) -> tuple[Turn, ...]:
        """The conversation with the question at its end, in the last user turn if that comes last."""
        lines = [f"- {key}: {self.labels[key]}" if key in self.labels else f"- {key}" for key in self.keys]
        question = "\n".join([self.question, *lines, "Reply with one of these, spelled as listed."])
        *before, last = conversation
        if last.role != "user":  # two user turns in a row are what many chat templates refuse
            return (*conversation, Turn("user", question))
        return (*before, Turn("user", f"{last.content}\n\n{question}"))


def declared_judgments(request: Request) -> tuple[DeclaredJudgment, ...]:
    """The judgments of a request's response format; empty where it asks for anything else beside them."""
    schema = (request.config.response_format or {}).get("schema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return ()
    found = [_read(str(name), entry) for name, entry in properties.items()]
    return tuple(judgment for judgment in found if judgment is not None) if None not in found else ()


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
        top = max(score.logprob for score in row)
        if top == -math.inf:
            raise InvalidRequestError(f"no key of judgment {judgment.name!r} has any likelihood")
        weights = [math.exp(score.logprob - top) for score in row]
        value[judgment.name] = judgment.values[weights.index(max(weights))]
        probabilities[judgment.name] = {
            key: weight / sum(weights) for key, weight in zip(judgment.keys, weights, strict=True)
        }
        coverage[judgment.name] = sum(math.exp(score.logprob) for score in row)
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
        return DeclaredJudgment(name, (True, False), question, {})
    branches = entry["anyOf"] if "anyOf" in entry else [{"const": value} for value in _listed(entry.get("enum"))]
    if not _listed(branches) or not all(isinstance(branch, Mapping) and "const" in branch for branch in branches):
        return None
    values = tuple(branch["const"] for branch in branches)
    labels = {str(branch["const"]): _label(branch) for branch in branches if _label(branch)}
    return DeclaredJudgment(name, values, question, labels) if _are_choices(values) or _are_levels(values) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _are_choices(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values) and len(set(values)) == len(values)


def _are_levels(values: Sequence[Any]) -> bool:
    """Whether the values are the whole numbers from 0 up; True and False would pass for 1 and 0."""
    return list(values) == list(range(len(values))) and not any(isinstance(value, bool) for value in values)


def _label(branch: Mapping[str, Any]) -> str:
    return " - ".join(str(branch[key]) for key in ("title", "description") if branch.get(key))
