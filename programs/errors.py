"""What can go wrong in a program, by name, and how a failure is put into words that may be kept.

This file knows no program; the errors of engines, measurements and pool files live with them.
"""

import re

import dspy

_LONGEST = 300
_SECRET = ("api_key", "headers", "extra_headers", "extra_body")
_USERINFO = re.compile(r"(?<=//)[^/@\s]+@")


class CommunityError(RuntimeError):
    """A community has no message, or too few communities have one."""


class EmptyPoolError(ValueError):
    """A pool has no community to ask."""


class UnknownCommunityError(LookupError):
    """A pool has no community of that name."""


class SavedProgramError(ValueError):
    """A folder is no saved program that can be loaded here; the message says why."""


def reason(error: Exception, lm: dspy.LM) -> str:
    """An error in one line that can be shown and saved: without the secrets of the LM that failed, and not too long."""
    text = _USERINFO.sub("", " ".join(f"{type(error).__name__}: {error}".split()))
    for secret in _texts([lm.kwargs.get(name) for name in _SECRET]):
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _texts(value: object) -> list[str]:
    """All texts in a setting, except those too short to be secret."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) and len(value) > 3 else []
