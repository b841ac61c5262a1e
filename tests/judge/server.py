"""A real HTTP server on loopback that speaks chat completions as a test's script says, and counts."""

from __future__ import annotations

import contextlib
import json
import math
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Action = Callable[[Any], None]  # given the handler, whose answer it writes
Script = Callable[[dict[str, Any], int], Action]  # given the request and its number from 0


@dataclass
class Server:
    """What a test looks at: every request in the order of arrival, and how many were open at once."""

    script: Script
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open_now: int = 0
    peak: int = 0
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> int:
        return len(self.bodies)

    @property
    def most_often(self) -> int:
        """How often the request that came most often came."""
        return max(Counter(json.dumps(body, sort_keys=True) for body in self.bodies).values(), default=0)


@contextlib.contextmanager
def serving(script: Script) -> Iterator[Server]:
    state = Server(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        ending = state.ending

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                number = state.calls
                state.bodies.append(body)
                state.headers.append(dict(self.headers))
                state.open_now += 1
                state.peak = max(state.peak, state.open_now)
            try:
                state.script(body, number)(self)
            finally:
                with state.lock:
                    state.open_now -= 1

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that went away."""

    server = Quiet(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


def raw(content: bytes, status: int = 200, **headers: str) -> Action:
    def act(handler: Any) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return act


def status(code: int, message: str, **headers: str) -> Action:
    return raw(json.dumps({"error": {"message": message}}).encode(), code, **headers)


def answer(
    text: str, top: dict[str, float] | None = None, usage: tuple[int, int] | None = (100, 1)
) -> Action:
    """A completion; ``top``: probabilities of its one token and of others in its place."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
    if top is not None:
        listed = [{"token": token, "logprob": math.log(p)} for token, p in top.items()]
        choice["logprobs"] = {"content": [{"token": text, "logprob": 0.0, "top_logprobs": listed}]}
    whole: dict[str, Any] = {"choices": [choice]}
    if usage is not None:
        whole["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return raw(json.dumps(whole).encode())


def hang(handler: Any) -> None:
    """No answer until the test ends."""
    handler.ending.wait(10)


def hang_up(handler: Any) -> None:
    """The connection is closed without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def asked(body: dict[str, Any]) -> tuple[str, str]:
    """Responses A and B of the default question."""
    found = re.search(
        r"=== Response A ===\n(.*?)\n=== Response B ===\n(.*?)\n=== End ===",
        body["messages"][0]["content"],
        re.DOTALL,
    )
    assert found is not None
    return found[1], found[2]


def prefers_long(body: dict[str, Any], number: int) -> Action:
    """A judge for whom the longer response is better with 0.8, wherever it stands; equal ones 0.5."""
    one, other = (len(text) for text in asked(body))
    share = 0.5 if one == other else 0.8 if one > other else 0.2
    return answer("A" if share >= 0.5 else "B", {"A": share, "B": 1 - share})
