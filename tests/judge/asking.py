"""A backend against a test's server, with a clock that waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.judge.server import Server
from xpo.data.record import Message
from xpo.judge.backend import Conversation
from xpo.judge.endpoint import Endpoint
from xpo.judge.http import HttpBackend
from xpo.judge.pace import Clock

OPTIONS = ("A", "B")


@dataclass
class Waits:
    """Time that passes when it is waited for, and how often and how long that was."""

    now: float = 0.0
    each: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clock(self) -> Clock:
        return Clock(lambda: self.now, self._sleep)

    def _sleep(self, seconds: float, stop: threading.Event) -> None:
        with self.lock:
            self.now += seconds
            self.each.append(seconds)


def backend(server: Server, folder: Path, waits: Waits | None = None, **options: Any) -> HttpBackend:
    endpoint = Endpoint(**{"url": server.url, "model": "m", "timeout": 5.0, "retries": 2, **options})
    return HttpBackend(endpoint, folder / "cache", folder / "out", (waits or Waits()).clock())


def questions(*texts: str) -> list[Conversation]:
    return [(Message("user", text),) for text in texts]


def asked_all(server: Server, folder: Path, texts: Sequence[str], **options: Any) -> list[tuple[float, ...]]:
    with backend(server, folder, **options) as made:
        return list(made.options(questions(*texts), OPTIONS))


def text_of(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]
