"""A stand-in for a vLLM server on loopback: it draws from a real policy and speaks the server's API."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.judge.asking import Waits
from tests.sampler.small import generator, scored
from xpo.judge.endpoint import Endpoint
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate
from xpo.sampler.policy import Policy
from xpo.sampler.vllm import Vllm


@dataclass
class StandIn:
    """``policy`` is what it serves as ``name``; ``act`` may answer a request in its stead.

    ``processed``: log-probabilities are those after temperature, top-k and top-p.
    """

    policy: Policy
    name: str = "policy"
    processed: bool = True
    development: bool = True
    act: Callable[[Any, dict[str, Any], int], bool] | None = None
    reload: Callable[[], None] = lambda: None
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        draw = Draw(
            body["n"],
            body["temperature"],
            body["top_k"] or None,
            body["top_p"],
            body["min_tokens"],
            body["max_tokens"],
            tuple(body["stop"]),
        )
        with self.lock:
            found = Generate()(self.policy, [body["prompt"]], draw, generator(body["seed"]))
            logps = found.logps[0] if self.processed else self.raw(body, found)
        rows = zip(found.responses[0], logps, found.finished[0], strict=True)
        choices = [self.choice(body, *row) | {"index": i} for i, row in enumerate(rows)]
        return {"object": "text_completion", "model": self.name, "choices": choices}

    def raw(self, body: dict[str, Any], found: Sampled) -> list[list[float]]:
        (logp_KT,) = scored(self.policy, [body["prompt"]], found)
        return [logp_KT[k, : len(r)].tolist() for k, r in enumerate(found.responses[0])]

    def choice(self, body: dict[str, Any], ids: list[int], logps: list[float], done: bool) -> dict[str, Any]:
        ended = ids[-1] in self.policy.ends
        return {
            "text": self.policy.tokenizer.decode(ids),
            "token_ids": ids if body["return_token_ids"] else None,
            "prompt_token_ids": body["prompt"],
            "logprobs": {"token_logprobs": logps, "tokens": [str(i) for i in ids], "text_offset": []},
            "finish_reason": "stop" if done else "length",
            "stop_reason": body["stop"][0] if done and not ended else None,
        }


def answer(handler: Any, content: Any, status: int = 200) -> None:
    """JSON, or bytes as they are."""
    whole = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(whole)))
    handler.end_headers()
    handler.wfile.write(whole)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: StandIn

    def do_GET(self) -> None:
        if self.path == "/health":
            answer(self, b"")
        elif self.path == "/v1/models":
            answer(self, {"data": [{"id": self.state.name, "object": "model"}]})
        else:
            answer(self, {"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size) or b"{}")
        with self.state.lock:
            number = len(self.state.bodies)
            self.state.bodies.append(body)
            self.state.paths.append(self.path)
            self.state.headers.append(dict(self.headers))
        if self.state.act is not None and self.state.act(self, body, number):
            return
        if self.path == "/v1/completions":
            answer(self, self.state.complete(body))
        elif self.state.development and self.path.partition("?")[0] in CONTROL:
            if body == {"method": "reload_weights"}:
                self.state.reload()
            answer(self, {"status": "done"})
        else:
            answer(self, {"detail": "Not Found"}, 404)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


CONTROL = ("/pause", "/collective_rpc", "/reset_prefix_cache", "/resume")


@contextlib.contextmanager
def standing_in(policy: Policy, **options: Any) -> Iterator[StandIn]:
    state = StandIn(policy, **options)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"state": state}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  (clients that went away)
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


def status(code: int) -> Callable[..., bool]:
    def act(handler: Any, body: dict[str, Any]) -> bool:
        answer(handler, {"error": {"message": "engine is busy"}}, code)
        return True

    return act


def engine(server: StandIn, folder: Path | None = None, waits: Waits | None = None, **options: Any) -> Vllm:
    about = {"url": server.url, "model": "policy", "timeout": 5.0, "retries": 2, **options}
    return Vllm(Endpoint(**about), folder, (waits or Waits()).clock())
