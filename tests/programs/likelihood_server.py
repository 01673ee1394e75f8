"""A small server on this machine that answers as chat APIs do, for the tests of likelihoods over HTTP."""

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dspy

from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn

KEY = "sk-secret-of-mine"
QUESTION = (Turn("system", "Be brief."), Turn("user", "Which one?"))
Reply = tuple[int, dict[str, Any]]
Score = Callable[[dspy.LM, list[ScoreItem]], list[list[Likelihood]]]


class Server(ThreadingHTTPServer):
    """Answers chat completions with `reply(body)`, and remembers the bodies and how many were open at once."""

    daemon_threads = True

    def __init__(self, reply: Callable[[dict[str, Any]], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.open = self.most_open = 0
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, unless the client only left early."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def lm(self, model: str, **settings: Any) -> dspy.LM:
        settings = {"cache": False, "num_retries": 0, "api_key": KEY, **settings}
        return dspy.LM(model, api_base=f"http://127.0.0.1:{self.server_port}/v1", **settings)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)
        try:
            status, reply = self.server.reply(body)
        finally:
            with self.server.lock:
                self.server.open -= 1
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


def chat_reply(body: dict[str, Any], text: str, finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    return {"id": "1", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}
