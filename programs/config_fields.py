"""The kinds of fields in a configuration: how a name, a model id, an address or a variable looks.

This file knows single values. It must not know which configurations they are put together to.
"""

import re
from collections.abc import Iterable
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

LOCAL = "local/"
"""What the model strings of the in-process engine begin with."""

REFUSED = "refused"
"""Type of the errors whose messages are written here; they say all that is to be said, and no secret."""

_SECRETS = frozenset(
    "accesstoken apikey apitoken auth authorization bearer extraheaders headers key password secret token".split()
)
"""Fields that people write secrets into, without hyphens and underscores."""


class Problem(NamedTuple):
    """One thing that is wrong, and the path of the field that says it."""

    path: tuple[int | str, ...]
    message: str


def refusal(title: str, problems: Iterable[Problem]) -> ValidationError:
    """The error that a validator raises; Pydantic keeps the paths, so that a reader can say where each problem is."""
    details = [
        InitErrorDetails(type=PydanticCustomError(REFUSED, message), loc=path, input=None) for path, message in problems
    ]
    return ValidationError.from_exception_data(title, details, hide_input=True)


def unknown_field(name: str, known: Iterable[str]) -> str:
    """Say what to write instead of a field that does not exist."""
    if re.sub("[-_]", "", name.lower()) in _SECRETS:
        return "secrets are not written here: name the environment variable that holds the key in api_key_env"
    return f"unknown field; the fields here are {', '.join(sorted(known))}"


def _slug(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name):
        raise _wrong(
            f"{name!r} is no name for a community; use lower-case letters, digits and single hyphens or underscores"
            " between them, such as 'care' or 'news-left'"
        )
    return name


def _model_id(model: str) -> str:
    provider, _, name = model.partition("/")
    if not provider or not name:
        raise _wrong(
            f"{model!r} names no provider; write local/<embedded name, folder or hub id>, hosted_vllm/<served name>"
            " with api_base, openai/<name>, or another <provider>/<name> that DSPy knows"
        )
    if "://" in name:
        raise _wrong(f"{provider}/... names an address in its model; give the address as api_base, where it is checked")
    if provider == "vllm":
        raise _wrong(f"{model!r} asks for vLLM in this process; for a vLLM server write hosted_vllm/{name}")
    return model


def _server_url(url: str) -> str:
    """The message leaves the URL out, because the part that is refused may be a password."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or parts.query or parts.fragment:
        raise _wrong(
            "must be http:// or https:// with a host, and a port and path if need be, and nothing else: user names,"
            " passwords and keys come from the environment (api_key_env)"
        )
    return url


def _variable(name: str) -> str:
    """The message leaves the name out, because it may be the key itself."""
    if not re.fullmatch(r"([A-Z_][A-Z0-9_]*_)?(KEY|TOKEN)", name):
        raise _wrong(
            "must be the name of the environment variable that holds the key, not the key; it is written in capitals,"
            " digits and underscores and ends in KEY or TOKEN, such as OPENAI_API_KEY"
        )
    return name


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError(REFUSED, message)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, AfterValidator(_slug)]
ModelId = Annotated[str, AfterValidator(_model_id)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
Variable = Annotated[str, AfterValidator(_variable)]
