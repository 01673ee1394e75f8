"""Serve the embedded LM and a folder of LoRA adapters with vLLM on this machine: as `base`, and as each adapter's name.

    .venv/bin/python examples/serve_vllm.py                                   # until Ctrl-C; the same as `make vllm`
    .venv/bin/python examples/serve_vllm.py --port 0 -- COMMAND ARGUMENT...   # while a command runs, on any free port

The command finds the server's address in `MODPLURAL_VLLM`, and its exit code is the script's. vLLM lives in an
environment of its own, since it wants other versions of the same libraries; `make vllm-install` makes it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
VLLM = ROOT / ".venv-vllm"
LOG = VLLM / "server.log"
PRESET_PORT = 8000
"""Where the preset pool `vllm` expects the server."""

_HOST = "127.0.0.1"
_READY_S = 420
_STOP_S = 20
_SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
"""Gigabytes for the cache of keys and values, and nothing sent or fetched."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, or while the command runs; the exit code is the command's."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)
    adapters = {folder.name: folder for folder in sorted(options.adapters.glob("*/")) if folder.is_dir()}
    port = _free_port(options.port)
    address = f"http://{_HOST}:{port}/v1"
    try:
        print(f"Starting vLLM; this takes about a minute. It writes to {LOG}.", flush=True)
        with _server(_command(options, adapters, port), port) as server:
            print(f"Ready at {address} with base, {', '.join(adapters) or 'no adapters'}.", flush=True)
            if options.command:
                return subprocess.call(options.command, env={**os.environ, "MODPLURAL_VLLM": address})
            print(_usage(port), flush=True)
            return server.wait()
    except KeyboardInterrupt:
        print("Stopped.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serve the embedded LM and adapters on it with vLLM.")
    parser.add_argument("--port", type=int, default=PRESET_PORT, help="0 takes any that is free")
    parser.add_argument("--adapters", type=Path, default=ROOT / "data" / "adapters", help="a folder with one for each")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="bfloat16 where it is fast by default")
    parser.add_argument("command", nargs="*", help="after --: what to run beside the server")
    return parser


def _command(options: argparse.Namespace, adapters: dict[str, Path], port: int) -> list[str]:
    # Heavy imports only now: they bring torch along.
    import torch

    from modplural.programs.engines.devices import fast_dtype
    from modplural.programs.engines.models import resolve_model

    python = VLLM / "bin" / "python"
    if not (VLLM / ".installed").exists():
        sys.exit(f"there is no vLLM in {VLLM}; run `make vllm-install`")
    dtype = options.dtype or str(fast_dtype(torch.device("cpu"))).removeprefix("torch.")
    # The `vllm` command looks for a package of that name, which the one for CPUs does not have.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--served-model-name", "base"]
    command += ["--model", str(resolve_model("smollm2-135m-instruct").path())]
    command += ["--host", _HOST, "--port", str(port), "--dtype", dtype, "--max-model-len", "2048"]
    if adapters:
        # Adapters beyond --max-loras would wait for a batch of their own.
        command += ["--enable-lora", "--max-lora-rank", "8", "--max-loras", str(len(adapters)), "--lora-modules"]
        command += [f"{name}={folder}" for name, folder in adapters.items()]
        # Left to itself, vLLM makes room for adapters on the output layer too, and ends (0.32, on a CPU) when it is
        # asked for the likelihoods of two prompts at once.
        command += ["--lora-target-modules", *_adapted_layers(adapters.values())]
    return command


def _adapted_layers(adapters: Iterable[Path]) -> list[str]:
    """The names of all layers that some adapter changes."""
    configs = (json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")) for folder in adapters)
    return sorted({name for config in configs for name in config["target_modules"]})


@contextlib.contextmanager
def _server(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server, wait until it answers, and stop it with all its processes at the end."""
    environment = {**_SETTINGS, **os.environ}
    with LOG.open("wb") as log:
        # A session of its own, so that Ctrl-C reaches this script alone, which then stops all of the server.
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        _wait_until_ready(server, port)
        yield server
    finally:
        _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            _give_up(f"vLLM ended with code {server.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{_HOST}:{port}/health", timeout=5):
            return
        time.sleep(1)
    _give_up(f"vLLM was not ready after {_READY_S} seconds")


def _give_up(problem: str) -> NoReturn:
    last = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    sys.exit("\n".join([*last, f"{problem}; above are the last lines of {LOG}"]))


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_S)


def _free_port(wanted: int) -> int:
    """The wanted port, or any; another server there would otherwise be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError as error:
            sys.exit(f"port {wanted} cannot be served on ({error.strerror}); name another one: make vllm PORT=8001")
        return int(probe.getsockname()[1])


def _usage(port: int) -> str:
    pool = "--pool vllm" if port == PRESET_PORT else f"a pool file like data/pools/vllm.yaml with port {port}"
    return f"Ask it with {pool}; Ctrl-C stops it."


def _leave(*_: object) -> NoReturn:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
