"""Makes a `dspy.LM` from its configuration.

It knows which LMs run in this process and which on a server, and which servers may be sent a key: a pool file or saved
program may be anybody's, and must not make us send our keys to anybody. The in-process engine is imported only where it
is used.
"""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

import dspy

from .config import LMConfig
from .config_fields import LOCAL

KEY_SERVERS = "MODPLURAL_KEY_SERVERS"
"""Environment variable with the servers that may be sent keys: hosts, with `:port` or without, and commas between."""

_NO_KEY = "-"
"""Given where no key is named, because DSPy would send the provider's own key from the environment to any address."""


def build_lm(config: LMConfig) -> dspy.LM:
    """Make the LM that a configuration names.

    The key of a server is read from the environment now; it is kept in the LM, and in nothing that is saved. Keys are
    sent to the provider's own address (no `api_base`), to this machine, and to the servers that the environment
    variable `MODPLURAL_KEY_SERVERS` names, such as `llm.example.org,10.0.0.7:8000`; to no other, whatever a
    configuration says. A server at an `api_base` gets the key that `api_key_env` names, or none: a provider's own key
    is for the provider, and no server needs one because it speaks the same language.

    Raises:
        LookupError: The environment variable for the key is unset or empty.
        ValueError: The server may not be sent a key, or a `local/` model or its adapter cannot be found or used.
    """
    settings = config.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    if config.model.startswith(LOCAL):
        from .engines.local import local_lm

        return local_lm(config.model, adapter=config.adapter, **settings)
    if config.api_base:
        settings["api_base"] = config.api_base
        settings["cache"] = False  # DSPy's cache takes two servers' LMs of one name for the same LM
        settings["api_key"] = _NO_KEY
    if config.api_key_env:
        if config.api_base and not _is_trusted(config.api_base):
            raise ValueError(_mistrust(config))
        settings["api_key"] = _read_key(config.api_key_env, config.model)
    lm = dspy.LM(config.model, **settings)
    lm.built_from = config  # a saved program names the variable of the key, which the LM itself cannot tell
    return lm


def _read_key(variable: str, model: str) -> str:
    key = os.environ.get(variable)
    if not key:
        raise LookupError(f"{model!r} needs a key: set the environment variable {variable} (named by api_key_env)")
    return key


def _is_trusted(address: str) -> bool:
    """Whether a server may be sent a key: it is on this machine, or named in `KEY_SERVERS`."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    named = {name.strip().lower() for name in os.environ.get(KEY_SERVERS, "").split(",")}
    return _is_loopback(host) or not named.isdisjoint({host, parts.netloc.lower()})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mistrust(config: LMConfig) -> str:
    host = urlsplit(config.api_base or "").netloc
    return (
        f"{config.model!r} would send the value of the environment variable {config.api_key_env} to {host}, which may"
        f" be anybody's server; if the key belongs there, set {KEY_SERVERS}={host}"
    )
