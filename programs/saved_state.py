"""Checks a program's saved state against the program that is to take it, before anything of it is taken.

DSPy loads whatever it finds: fields by position, unknown entries as attributes, LMs as they are described. A state may
have been edited, or saved for something else, so it is compared by name and type first. This file knows parameters; it
must not know files.
"""

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.predict.parameter import Parameter
from pydantic import TypeAdapter, ValidationError

from .errors import SavedProgramError

_METADATA = "metadata"
"""DSPy's own files have this entry beside the parameters."""


def check_state(program: dspy.Module, state: object) -> None:
    """Check that a state names every parameter of a program and nothing else, each in its form.

    Raises:
        SavedProgramError: It does not; the message names the first difference.
    """
    own = dict(program.named_parameters())
    if not isinstance(state, Mapping):
        raise SavedProgramError(f"the state is {_kind(state)}, not an object with an entry for each parameter")
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own and name != _METADATA]
    if missing or unknown:
        found = [*(f"no {name}" for name in missing), *(f"an unknown {name}" for name in unknown)]
        raise SavedProgramError(
            f"the state does not fit {type(program).__name__}: it has {', '.join(found)}. It was saved for another"
            f" program or pool, or edited; its parameters are {', '.join(own)}"
        )
    for name, parameter in own.items():
        _check_parameter(name, parameter, state[name])


def _check_parameter(name: str, parameter: Parameter, state: object) -> None:
    if not isinstance(state, Mapping):
        raise SavedProgramError(f"the state of {name} is {_kind(state)}, not an object")
    if isinstance(parameter, dspy.Predict):
        _check_predictor(name, parameter, state)


def _check_predictor(name: str, predictor: dspy.Predict, state: Mapping[str, Any]) -> None:
    own = predictor.dump_state()
    if set(state) != set(own):
        raise SavedProgramError(f"the state of {name} has the entries {sorted(state)}, not {sorted(own)}")
    if state["lm"] is not None:
        raise SavedProgramError(
            f"the state of {name} brings an LM of its own; LMs are given to a program, never taken from its state"
        )
    for entry in ("traces", "train", "demos"):
        if not isinstance(state[entry], list):
            raise SavedProgramError(f"{entry} of {name} is {_kind(state[entry])}, not a list")
        for place, item in enumerate(state[entry]):
            if not isinstance(item, Mapping):
                raise SavedProgramError(
                    f"{entry}[{place}] of {name} is {_kind(item)}, not an object with a value per field, so the {entry}"
                    f" of {name} are not all objects; take it out"
                )
    for place, demo in enumerate(state["demos"]):
        _check_demo(f"demos[{place}] of {name}", predictor.signature, demo)
    _check_signature(name, own["signature"], state["signature"])


def _check_demo(place: str, signature: type[dspy.Signature], demo: Mapping[str, Any]) -> None:
    """Check that a demo shows something of a signature; it may miss fields and have others, as optimizers leave them.

    Inputs and outputs are checked by their types: a number would be shown as if it were text.
    """
    given = {name: field for name, field in signature.fields.items() if demo.get(name) is not None}
    if not given:
        raise SavedProgramError(
            f"{place} has none of the fields {', '.join(signature.fields)}, so it would show nothing; take it out"
        )
    for name, field in given.items():
        try:
            TypeAdapter(field.annotation).validate_python(demo[name])
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise SavedProgramError(
                f"{name} in {place} is {_kind(demo[name])} and cannot be shown ({problem}); correct it or take it out"
            ) from None


def _check_signature(name: str, own: Mapping[str, Any], signature: Any) -> None:
    sound = (
        isinstance(signature, Mapping)
        and set(signature) == set(own)
        and isinstance(signature["instructions"], str)
        and isinstance(signature["fields"], list)
        and len(signature["fields"]) == len(own["fields"])
        and all(_is_field(field) for field in signature["fields"])
    )
    if not sound:
        raise SavedProgramError(
            f"the signature of {name} must be its instructions and, for each of its {len(own['fields'])} fields, a"
            " prefix and a description"
        )
    if not signature["instructions"].strip():
        raise SavedProgramError(
            f"the instructions of {name} are blank, so its LM would not be told what to do; give some"
        )
    if not all(field["prefix"].strip() for field in signature["fields"]):
        raise SavedProgramError(
            f"the signature of {name} has a field whose prefix is blank, so its inputs would run into one another; give"
            " each field a prefix, such as 'Query:'"
        )


def _is_field(field: object) -> bool:
    return (
        isinstance(field, Mapping)
        and set(field) == {"prefix", "description"}
        and all(isinstance(text, str) for text in field.values())
    )


def _kind(value: object) -> str:
    return f"{type(value).__name__} ({str(value)[:40]})"
