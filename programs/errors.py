"""What can go wrong in a program, by name, and how a failure is put into words that may be kept.

This file knows no program; the errors of engines, measurements and pool files live with them.
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

import dspy

_LONGEST = 300
_SECRET = ("api_key", "headers", "extra_headers", "extra_body")
_ADDRESS = ("api_base", "base_url")
_SECRET_VARIABLE = re.compile("^(?!MODPLURAL_KEY_SERVERS$).*(?:KEY|TOKEN|SECRET|PASSW|CREDENTIAL)", re.IGNORECASE)
_KEY_LENGTH = 8
"""Shorter values of such variables are switches (`TOKENIZERS_PARALLELISM=false`), and words of ordinary errors."""
_USERINFO = re.compile(r"(?<=//)[^/@\s]+@")
_QUERY = re.compile(
    r"(?P<name>[?&][^=&?\s]*(?:key|token|secret|passw|pwd|credential|auth|sig)[^=&?\s]*=)[^&\s\"'#)\]]+", re.IGNORECASE
)
"""A part of an address's query whose name speaks of a secret."""


class CommunityError(RuntimeError):
    """A community has no message, or too few communities have one."""


class EmptyPoolError(ValueError):
    """A pool has no community to ask."""


class UnknownCommunityError(LookupError):
    """A pool has no community of that name."""


class SavedProgramError(ValueError):
    """A folder is no saved program that can be loaded here; the message says why."""


def reason(error: Exception, *lms: dspy.BaseLM, longest: int = _LONGEST) -> str:
    """An error in one line that can be shown and saved: without secrets (see `redacted`), and not too long."""
    text = redacted(" ".join(f"{type(error).__name__}: {error}".split()), *lms)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def redacted(text: str, *lms: dspy.BaseLM) -> str:
    """A text without what may be secret: servers repeat the key that they refuse.

    Passwords in addresses are taken out, and what their queries call a key, a token or the like. The keys, headers and
    bodies of `lms` become `***`, and so do the passwords of their addresses in whatever form they are sent, and the
    values of environment variables whose names speak of a secret, as providers' libraries read their keys there.
    """
    held = _texts([lm.kwargs.get(name) for lm in lms for name in _SECRET])
    held += [secret for lm in lms for name in _ADDRESS for secret in _credentials(lm.kwargs.get(name))]
    named = [value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name) and len(value) >= _KEY_LENGTH]
    for secret in sorted({*held, *named}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _QUERY.sub(r"\g<name>***", _USERINFO.sub("", text))


def _credentials(address: object) -> Iterator[str]:
    """The password of an address, and how it is sent in a header."""
    try:
        parts = urlsplit(str(address or ""))
    except ValueError:  # such as an address without the end of its brackets, which nobody can be asked at
        return
    yield from (
        value
        for name, value in parse_qsl(parts.query)
        if _QUERY.match(f"?{name}={value}") and len(value) >= _KEY_LENGTH
    )
    if parts.password:
        password = unquote(parts.password)
        yield from _texts(password)
        yield b64encode(f"{unquote(parts.username or '')}:{password}".encode()).decode()


def _texts(value: object) -> list[str]:
    """All texts in a setting, except those too short to be secret."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) and len(value) > 3 else []
