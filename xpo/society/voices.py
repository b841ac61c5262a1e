"""Who speaks for peers: the policy itself, or another model; what was said once is not asked for again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, get_type_hints

from xpo.annotator.base import Desk
from xpo.annotator.store import Store
from xpo.compose.errors import ConfigError
from xpo.compose.typed import WrongType, fit
from xpo.judge.ask import CHUNK
from xpo.judge.backend import Conversation, Draw
from xpo.judge.choice import Asking
from xpo.judge.local import LocalBackend


class Voice(Protocol):
    """The part of ``xpo.judge.backend.Backend`` that peers need."""

    @property
    def fingerprint(self) -> str: ...

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]: ...


@dataclass(frozen=True)
class Kept:
    """A model on this machine whose answers are stored, ``CHUNK`` conversations at a time.

    A chunk of which some are known is asked anew as a whole: answers are drawn together.
    """

    voice: Voice
    store: Store

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        for start in range(0, len(asked), CHUNK):
            chunk = asked[start : start + CHUNK]
            key = _key(chunk, draw)
            known = _whole(self.store.get(key), len(chunk))
            if not known:
                known = [said[0] for said in self.voice.answers(chunk, draw)]
                self.store.put(key, known)
            yield from ((text,) for text in known)


def model_of(keys: dict[str, Any]) -> Asking:
    """Another model, by the keys with which annotators name one. ``ConfigError`` names key and reason."""
    kinds = get_type_hints(Asking)
    values = {}
    for key, value in keys.items():
        if key not in kinds:
            raise ConfigError(f"peer_model has no key {key!r}; it has {', '.join(kinds)}")
        try:
            values[key] = fit(value, kinds[key])
        except WrongType as error:
            raise ConfigError(f"peer_model.{key} {error}") from None
    try:
        return Asking(**values)
    except ValueError as error:
        raise ConfigError(f"peer_model: {error}") from None


@contextlib.contextmanager
def speaking(keys: dict[str, Any] | None, policy: Any, desk: Desk, tokens: int) -> Iterator[Any]:
    """``with speaking(...) as voice``; ``keys`` None: the ``policy`` speaks, in batches of ``tokens``."""
    if keys is None:
        yield _kept(LocalBackend(policy, tokens), desk)
        return
    model = model_of(keys)
    with model.open(desk) as backend:
        yield backend if model.path is None else _kept(backend, desk)


def _kept(voice: Voice, desk: Desk) -> Kept:
    digest = hashlib.sha256(voice.fingerprint.encode()).hexdigest()[:16]
    return Kept(voice, Store(desk.cache / "society" / f"{digest}.jsonl"))


def _key(chunk: Sequence[Conversation], draw: Draw) -> str:
    turns = [[(turn.role, turn.content) for turn in conversation] for conversation in chunk]
    return hashlib.sha256(json.dumps([turns, asdict(draw)]).encode()).hexdigest()


def _whole(stored: Any, count: int) -> list[str]:
    """What is stored of a chunk; nothing where that is damaged."""
    whole = isinstance(stored, list) and len(stored) == count and all(isinstance(t, str) for t in stored)
    return stored if whole else []
