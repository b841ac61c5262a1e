"""Two responses of a prompt in one row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.record import Example
from xpo.data.shape import take
from xpo.registry import register


@register("arity", "pair")
@dataclass(frozen=True)
class Pair:
    """K = 2, the preferred response first; pairs that tie are dropped and counted.

    A longer list gives ``all`` its pairs, the ``best_worst``, the ``adjacent`` ones of its order, or one
    ``random`` pair that does not tie (drawn by ``seed``). Every pair weighs the same. Without comparisons
    (binary feedback) a pair is a good and a bad response.
    """

    from_list: Literal["all", "best_worst", "adjacent", "random"] = "all"
    seed: int = 0
    sizes: ClassVar[tuple[int, int | None]] = (2, 2)
    keeps: ClassVar[frozenset[str]] = FEEDBACK
    needs_any: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels"})

    def of_samples(self, size: int) -> tuple[int, int]:
        """How wide the rows of so many samples of a prompt are, and how many they are at most."""
        return 2, 1 if self.from_list == "random" else len(_CHOICES[self.from_list](size))

    def __call__(self, examples: Sequence[Example], counts: Counts) -> list[Example]:
        rng = random.Random(self.seed)
        rows = []
        for item in examples:
            size = len(item.responses)
            if size < 2:
                counts.drop("fewer than two responses")
                continue
            candidates = [_lead(item, i, j) for i, j in _CHOICES[self.from_list](size)]
            pairs = [pair for pair in candidates if pair is not None]
            if self.from_list == "random":
                pairs = [rng.choice(pairs)] if pairs else []
                counts.drop("tie", 0 if pairs else 1)
            else:
                counts.drop("tie", len(candidates) - len(pairs))
            rows += [take(item, pair) for pair in pairs]
        return rows


def _all(size: int) -> list[tuple[int, int]]:
    return list(combinations(range(size), 2))


def _best_worst(size: int) -> list[tuple[int, int]]:
    return [(0, size - 1)]


def _adjacent(size: int) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(size - 1)]


_CHOICES = {"all": _all, "best_worst": _best_worst, "adjacent": _adjacent, "random": _all}


def _lead(item: Example, i: int, j: int) -> tuple[int, int] | None:
    """The two with the better one first; None for a tie."""
    lead = _mass(item, i, j) - _mass(item, j, i)
    if lead == 0 and not (item.prefer is not None and _mass(item, i, j) > 0):
        return None
    return (i, j) if lead >= 0 else (j, i)


def _mass(item: Example, i: int, j: int) -> float:
    """What says that i is better than j: the comparison, else i is good and j is bad."""
    if item.prefer is not None:
        return item.prefer[i][j]
    return 0.0 if item.good is None or item.bad is None else item.good[i] * item.bad[j]
