"""What a program is made of, as plain names and values: two runs may be joined only where these are the same.

It covers learned parameters, plain settings and which LM stands where. Only types, model strings and sampling settings
are named; everything else stands as a digest, so that no secret enters.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

import dspy
from dspy.predict.parameter import Parameter

_LM_SETTINGS = ("temperature", "max_tokens", "top_p", "top_k", "seed", "stop", "n")
_NOT_BEHAVIOUR = {"history", "callbacks", "traces", "train"}


def fingerprint(program: dspy.Module) -> dict[str, str]:
    """Describe a program.

    Returns:
        Value per place, as in `{"program.members[0].lm.model": "openai/gpt-4o-mini"}`. A program that holds no LM is
        described with the LM that DSPy is configured with. Private attributes that hold no LM, module or parameter are
        taken for notes made while running and left out.
    """
    places = dict(_describe("program", program, ()))
    if not any(True for _ in program.named_sub_modules(dspy.BaseLM)):
        places.update(_describe("dspy.settings.lm", dspy.settings.lm, ()))
    return places


def _describe(place: str, value: Any, above: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Walk down; `above` are the ids of what is being described, so that a loop ends."""
    if id(value) in above:
        return
    if value is None or isinstance(value, str | int | float | bool):
        yield place, f"sha256 {hashlib.sha256(repr(value).encode()).hexdigest()[:16]}"
        return
    if not isinstance(value, list | tuple | Mapping):
        yield f"{place}.type", f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, dspy.BaseLM):
        yield f"{place}.model", value.model
        yield from ((f"{place}.{name}", str(value.kwargs[name])) for name in _LM_SETTINGS if name in value.kwargs)
        server = value.kwargs.get("api_base") or value.kwargs.get("base_url")
        if server:  # as a digest: it may hold a password
            yield from _describe(f"{place}.server", str(server), above)
    for name, part in _parts(value):
        yield from _describe(place + name, part, (*above, id(value)))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | dspy.Example):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, Parameter):
        state = _without_lm(value).dump_state(json_mode=True)
        yield from ((f".{name}", part) for name, part in state.items() if name not in {*_NOT_BEHAVIOUR, "lm"})
        yield from ((f".{name}", part) for name in ("config", "lm") if (part := getattr(value, name, None)))
    elif isinstance(value, dspy.Module):
        yield from ((f".{name}", part) for name, part in vars(value).items() if _is_behaviour(name, part))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{part.name}", getattr(value, part.name)) for part in dataclasses.fields(value))


def _without_lm(parameter: Parameter) -> Any:
    """The parameter, or its like without an LM, which is described by itself and may be one that cannot be dumped."""
    if getattr(parameter, "lm", None) is None:
        return parameter
    unbound = copy(parameter)
    unbound.lm = None
    return unbound


def _is_behaviour(name: str, value: Any) -> bool:
    if name.startswith("_"):
        return isinstance(value, dspy.Module | dspy.BaseLM | Parameter)
    return name not in _NOT_BEHAVIOUR
