"""A backend whose answers are written down, and what it was asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xpo.errors import UserError
from xpo.judge.backend import Conversation, Draw


def nothing(*_: Any) -> Any:
    raise AssertionError("this was not to be asked")


class Scripted:
    """``prefer(conversation, options)`` gives probabilities, ``say(conversation, number)`` one answer."""

    fingerprint = "scripted"

    def __init__(self, prefer: Callable[..., Any] = nothing, say: Callable[..., Any] = nothing) -> None:
        self.prefer, self.say = prefer, say
        self.asked: list[Conversation] = []

    def options(self, asked: Sequence[Conversation], options: Sequence[str]) -> Iterator[tuple[float, ...]]:
        for conversation in asked:
            self.asked.append(conversation)
            yield tuple(self.prefer(conversation, options))

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        for conversation in asked:
            self.asked.append(conversation)
            yield tuple(self.say(conversation, number) for number in range(draw.n))


def opened(monkeypatch: Any, backend: Scripted) -> Scripted:
    """Every annotator that names a model asks this one."""
    from xpo.judge.choice import Asking

    monkeypatch.setattr(Asking, "open", lambda self, desk: contextlib.nullcontext(backend))
    monkeypatch.setattr(Asking, "fingerprint", lambda self, desk: repr(sorted(self.settings().items())))
    return backend


def text(conversation: Conversation) -> str:
    """All that was said."""
    return "\n".join(turn.content for turn in conversation)


def refuses(conversation: Conversation, *_: Any) -> Any:
    raise UserError("no")
