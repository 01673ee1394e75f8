"""Loads a saved program from wherever it is: a folder, or a version in MLflow.

This file knows addresses; a folder is loaded without importing MLflow.
"""

from collections.abc import Mapping
from pathlib import Path

import dspy

from .programs.errors import SavedProgramError
from .programs.program import Program
from .programs.saving import load as load_folder


def load(source: str | Path, *, base: dspy.LM | None = None, lms: Mapping[str, dspy.LM] | None = None) -> Program:
    """Make a saved program again. Nothing that is found there is executed, and no LM is asked.

    Args:
        source: The folder that `program.save` wrote, or a version: `models:/overton/3`, `models:/overton@champion` or
            `runs:/<run>/program`, in the store that `MLFLOW_TRACKING_URI` names.
        base: Stands in for the base LLM that was saved.
        lms: Stand in for the LMs of communities, by name.

    Raises:
        ImportError: It is a version, and MLflow is not installed.
        SavedProgramError: It is no saved program, or one that cannot be made here; the message says why.
        VersionError: There is no such version.
    """
    from .optimizers.versions.artifact import fetched, is_version

    if not is_version(source):
        return load_folder(source, base=base, lms=lms)
    with fetched(str(source)) as folder:
        try:
            return load_folder(folder, base=base, lms=lms)
        except SavedProgramError as error:
            raise SavedProgramError(f"{source}: {error}") from error
