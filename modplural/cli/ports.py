"""Ports of this machine, for the commands that serve: a taken one is said to be taken before anything is started."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from .session import WrongUsageError

LOOPBACK = "127.0.0.1"
"""Nobody but this machine is served: there are no passwords."""

PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Of this machine; 0 takes any that is free.")]


def listening_socket(port: int) -> socket.socket:
    """A socket that listens on a port of this machine.

    Raises:
        WrongUsageError: The port cannot be listened on.
    """
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise WrongUsageError(
            f"Port {port} cannot be served on ({error.strerror}); name another one by --port."
        ) from error


def free_port(port: int) -> int:
    """The port, or any that is free where it is 0.

    Raises:
        WrongUsageError: The port cannot be listened on.
    """
    with listening_socket(port) as probe:
        return int(probe.getsockname()[1])
