"""Who is asked: what a judge's model must be able to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from xpo.data.record import Message

Conversation = tuple[Message, ...]
"""What a model is asked: turns, the last of which it answers. A turn of the assistant at the end is gone on
with, not answered."""


@dataclass(frozen=True)
class Draw:
    """How answers are drawn; ``seed`` fixes them where the model can."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    n: int = 1
    seed: int = 0


class Backend(Protocol):
    """Answers come one by one, in order, so that what was bought is kept when the next fails."""

    @property
    def fingerprint(self) -> str:
        """What answers depend on: weights or the served model's name, never keys or paths."""
        ...

    def options(self, asked: Sequence[Conversation], options: Sequence[str]) -> Iterator[tuple[float, ...]]:
        """The probability that the answer is each of the options, which sum to 1."""
        ...

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        """``draw.n`` answers to each conversation."""
        ...
