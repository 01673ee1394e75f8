"""The command line: `modplural ask`, `run`, `communities` and `demo`.

Commands import what they need when they run, so that `modplural --help` waits for no LM library. The files here know
terminals, exit codes and options; what is asked of LMs, and how, is on the floors below.
"""

from .app import app, main

__all__ = ["app", "main"]
