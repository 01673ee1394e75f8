"""Importing what only the extra `evaluate` brings, with an error that names the extra where it is missing."""

from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """A library is missing that comes with an extra of this package; the message says how to install it."""


def load_extra(module: str) -> Any:
    """Import a module of a library that comes with `modplural[evaluate]`.

    Raises:
        MissingExtraError: The library is not installed. An import that fails inside the library is raised as it is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if error.name != root:
            raise
        raise MissingExtraError(
            f"{root} is not installed, and this metric is computed with it: pip install 'modplural[evaluate]'",
            name=root,
        ) from error
