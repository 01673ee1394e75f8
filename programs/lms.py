"""Makes a `dspy.LM` from its configuration.

It knows which LMs run in this process and which on a server. The in-process engine is imported only where it is used.
"""

import os

import dspy

from .config import LMConfig
from .config_fields import LOCAL


def build_lm(config: LMConfig) -> dspy.LM:
    """Make the LM that a configuration names.

    The key of a server is read from the environment now; it is kept in the LM, and in nothing that is saved.

    Raises:
        LookupError: The environment variable for the key is unset or empty.
        ValueError: A `local/` model or its adapter cannot be found or used.
    """
    settings = config.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    if config.model.startswith(LOCAL):
        from .engines.local import local_lm

        return local_lm(config.model, adapter=config.adapter, **settings)
    if config.api_base:
        settings["api_base"] = config.api_base
        settings["cache"] = False  # DSPy's cache takes two servers' LMs of one name for the same LM
    if config.api_key_env:
        settings["api_key"] = _read_key(config.api_key_env, config.model)
    lm = dspy.LM(config.model, **settings)
    lm.built_from = config  # a saved program names the variable of the key, which the LM itself cannot tell
    return lm


def _read_key(variable: str, model: str) -> str:
    key = os.environ.get(variable)
    if not key:
        raise LookupError(f"{model!r} needs a key: set the environment variable {variable} (named by api_key_env)")
    return key
