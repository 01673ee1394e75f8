"""Modules that are saved as JSON and never as a pickle, which runs code when it is read.

This file knows how DSPy saves modules; it must not know what they are for.
"""

from pathlib import Path
from typing import Any

import dspy

from .errors import SavedProgramError

STATE_FILES = (".json", ".pkl")
"""The suffixes by which DSPy tells what kind of state file it is; the second is refused."""


class JsonOnly(dspy.Module):
    """A module whose `save` and `load` refuse what DSPy would pickle."""

    def save(self, path: str | Path, save_program: bool = False, modules_to_serialize: Any = None) -> None:
        """Write the state as a JSON file, DSPy's own.

        Args:
            path: A file that ends in `.json`.
            save_program: Refused: DSPy's form of saved programs is a pickle.
            modules_to_serialize: Refused, as above.

        Raises:
            SavedProgramError: It would be a pickle.
            ValueError: The path ends in something else.
        """
        if save_program or modules_to_serialize or Path(path).suffix == ".pkl":
            raise SavedProgramError(
                f"pickles run code when they are read, so no {type(self).__name__} is saved as one; save its state as"
                " '<name>.json', or a mode or baseline as a folder"
            )
        super().save(path)

    def load(self, path: str | Path, allow_pickle: bool = False, allow_unsafe_lm_state: bool = False) -> None:
        """Take the state of a JSON file; LMs stay those that the module has.

        Args:
            path: A file that ends in `.json`.
            allow_pickle: Refused.
            allow_unsafe_lm_state: Refused.

        Raises:
            SavedProgramError: It is a pickle or a folder, or its LMs were to be taken.
        """
        if allow_pickle or allow_unsafe_lm_state or Path(path).suffix == ".pkl":
            raise SavedProgramError(
                "programs are loaded from JSON, and their LMs are given to them; give a '<name>.json', or for a mode or"
                " baseline a folder"
            )
        super().load(path)
