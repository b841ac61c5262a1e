"""All responses of a prompt in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.record import Example
from xpo.registry import register


@register("arity", "list")
@dataclass(frozen=True)
class List:
    """K >= 2: the whole list, best first; a pair is the list of two.

    A list in which everything ties is dropped, one with some ties keeps its other comparisons. A solution of
    one step is the list of its steps, too.
    """

    sizes: ClassVar[tuple[int, int | None]] = (2, None)
    keeps: ClassVar[frozenset[str]] = FEEDBACK
    needs_any: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores"})
    of_several: ClassVar[tuple[str, ...]] = ()  # keys that change nothing of two responses
    idle: ClassVar[tuple[str, ...]] = ()  # keys that change nothing as the others are
    reads_wins: ClassVar[bool] = False  # rows are left out by the probability of winning

    def of_samples(self, size: int) -> tuple[int, int]:
        """How wide the rows of so many samples of a prompt are, and how many they are at most."""
        return size, 1

    def __call__(self, examples: Sequence[Example], counts: Counts) -> list[Example]:
        rows = []
        for item in examples:
            if len(item.responses) < 2 and item.whole is None:
                counts.drop("fewer than two responses")
            elif item.prefer is not None and not sum(map(sum, item.prefer)):
                counts.drop("tie")
            else:
                rows.append(item)
        return rows
