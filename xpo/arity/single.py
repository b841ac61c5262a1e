"""Every response a row of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.data.counts import Counts
from xpo.data.record import Example
from xpo.data.shape import take
from xpo.registry import register


@register("arity", "single")
@dataclass(frozen=True)
class Single:
    """K = 1. Comparisons are lost; labels, scores, costs and targets of imitation stay with their response.

    Responses that carry none of these are dropped and counted.
    """

    sizes: ClassVar[tuple[int, int | None]] = (1, 1)
    keeps: ClassVar[frozenset[str]] = frozenset({"labels", "scores", "demonstrations", "costs"})
    needs_any: ClassVar[frozenset[str]] = frozenset({"labels", "scores", "demonstrations"})
    of_several: ClassVar[tuple[str, ...]] = ()  # keys that change nothing of two responses
    idle: ClassVar[tuple[str, ...]] = ()  # keys that change nothing as the others are
    reads_wins: ClassVar[bool] = False  # rows are left out by the probability of winning

    def of_samples(self, size: int) -> tuple[int, int]:
        """How wide the rows of so many samples of a prompt are, and how many they are at most."""
        return 1, size

    def __call__(self, examples: Sequence[Example], counts: Counts) -> list[Example]:
        rows = []
        for item in examples:
            for k in range(len(item.responses)):
                row = dataclasses.replace(take(item, [k]), prefer=None, wins=None, margins=None)
                if _speaks(row):
                    rows.append(row)
                else:
                    counts.drop("response without a label")
        return rows


def _speaks(row: Example) -> bool:
    if row.good is not None and row.bad is not None:
        return sum(row.good) + sum(row.bad) > 0
    return row.scores is not None or sum(row.demo or ()) > 0
