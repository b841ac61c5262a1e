"""Answers of a model on this machine, kept as they come: a stage that was killed draws none of them again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from xpo.annotator.store import Store
from xpo.judge.backend import Backend, Conversation, Draw


class Remembered:
    """A backend that asks another one for what it does not know yet.

    A judge behind an endpoint keeps its own answers (``xpo.judge.http``). What is drawn after a kill is drawn
    in other batches than it would have been, so that a temperature above 0 may give other words.
    """

    def __init__(self, backend: Backend, store: Store) -> None:
        self._backend, self._store = backend, store
        self.fingerprint = backend.fingerprint  # it takes time

    def options(self, asked: Sequence[Conversation], options: Sequence[str]) -> Iterator[tuple[float, ...]]:
        """Not kept."""
        return self._backend.options(asked, options)

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        """In the order of the questions, each of them asked once."""
        keys = [self._key(conversation, draw) for conversation in asked]
        lacking = {
            key: one for key, one in zip(keys, asked, strict=True) if not _whole(self._store.get(key), draw)
        }
        found = self._backend.answers(list(lacking.values()), draw)
        for key in keys:
            if key in lacking:
                self._store.put(key, list(next(found)))
                del lacking[key]
            yield tuple(self._store.get(key) or ())

    def _key(self, conversation: Conversation, draw: Draw) -> str:
        turns = [(turn.role, turn.content) for turn in conversation]
        return hashlib.sha256(repr((self.fingerprint, turns, astuple(draw))).encode()).hexdigest()


def _whole(stored: object, draw: Draw) -> bool:
    """Whether these are answers, and not a damaged entry."""
    return (
        isinstance(stored, list) and len(stored) == draw.n and all(isinstance(text, str) for text in stored)
    )
