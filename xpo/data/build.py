"""The data layer's front door: components and a tokenizer in, tokenised rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.record import Annotator, Arity, Feedback, Splits

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


class Data(Protocol):
    """A data option that reads text (or messages) from somewhere."""

    def read(self) -> Splits: ...


@dataclass(frozen=True)
class Pipeline:
    """The four components that make rows."""

    data: Data
    annotator: Annotator
    feedback: Feedback
    arity: Arity


@dataclass(frozen=True)
class Prepared:
    """Tokenised rows. ``demonstrations`` are the given ones, else the preferred responses of train."""

    train: list[Row]
    test: list[Row]
    demonstrations: list[Row]
    counts: dict[str, Counts]
    fingerprint: str
    demonstrations_given: bool


def texts(splits: Splits) -> Iterator[str]:
    """All training text, prompts once and responses, to train a tokenizer on."""
    raise NotImplementedError


def prepare(
    pipeline: Pipeline,
    tokenizer: Any,
    *,
    splits: Splits | None = None,
    window: int | None = None,
    needs: frozenset[str] = frozenset(),
    progress: Progress | None = None,
) -> Prepared:
    """Read, label, shape and tokenise.

    ``splits``: what ``pipeline.data.read()`` gave, if it was called already. ``window``: the model's
    number of positions. ``needs``: what the objective declares; a row set without it is refused.
    Raises ``DataError`` where nothing is left to train on, with the reasons.
    """
    raise NotImplementedError
