"""Two responses of a prompt in one row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example
from xpo.data.shape import take
from xpo.registry import register


@register("arity", "pair")
@dataclass(frozen=True)
class Pair:
    """K = 2, the preferred response first; pairs that tie are dropped and counted.

    A longer list gives ``all`` its pairs, the ``best_worst``, the best one with each other (``best_rest``),
    the ``adjacent`` ones of its order, one ``random`` pair that does not tie, or the best with one of the
    others that does not tie with it (``best_random``; both drawn by ``seed``, place and content, so that
    samples of another rollout are drawn from anew). Every pair weighs the same. Of
    these stay whose probability of winning is above 1/2 by ``least`` at least (null: all). Without
    comparisons (binary feedback) a pair is a good and a bad response.
    """

    from_list: Literal["all", "best_worst", "best_rest", "adjacent", "random", "best_random"] = "all"
    seed: int = 0
    least: float | None = None
    sizes: ClassVar[tuple[int, int | None]] = (2, 2)
    keeps: ClassVar[frozenset[str]] = FEEDBACK
    needs_any: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels"})
    of_several: ClassVar[tuple[str, ...]] = ("from_list", "seed")  # keys that change nothing of two responses

    def __post_init__(self) -> None:
        if self.least is not None and not 0 < self.least <= 0.5:
            raise ValueError(f"least must be above 0 and at most 0.5, got {self.least}")

    @property
    def idle(self) -> tuple[str, ...]:
        """Keys that change nothing as the others are."""
        return () if self._draws else ("seed",)

    @property
    def reads_wins(self) -> bool:
        """Whether pairs are left out by their probability of winning."""
        return self.least is not None

    def of_samples(self, size: int) -> tuple[int, int]:
        """How wide the rows of so many samples of a prompt are, and how many they are at most."""
        return 2, 1 if self._draws else len(_CHOICES[self.from_list](size))

    def __call__(self, examples: Sequence[Example], counts: Counts) -> list[Example]:
        rows = []
        for place, item in enumerate(examples):
            size = len(item.responses)
            if size < 2:
                counts.drop("fewer than two responses")
                continue
            candidates = [_lead(item, i, j) for i, j in _CHOICES[self.from_list](size)]
            pairs = [pair for pair in candidates if pair is not None]
            if self._draws:
                counts.drop("tie", 0 if pairs else 1)
            else:
                counts.drop("tie", len(candidates) - len(pairs))
            pairs = self._clear(item, pairs, counts)
            if self._draws and pairs:
                drawn = random.Random(f"{self.seed}/{place}/{item.prompt!r}/{item.responses!r}")
                pairs = [drawn.choice(pairs)]
            rows += [take(item, pair) for pair in pairs]
        return rows

    def _clear(self, item: Example, pairs: list[tuple[int, int]], counts: Counts) -> list[tuple[int, int]]:
        """Those that are won clearly enough."""
        if self.least is None:
            return pairs
        clear = [pair for pair in pairs if _won(item, pair) >= 0.5 + self.least]
        counts.drop("not won clearly enough", len(pairs) - len(clear))
        return clear

    @property
    def _draws(self) -> bool:
        """Whether one pair of a list is drawn."""
        return self.from_list in ("random", "best_random")


def _all(size: int) -> list[tuple[int, int]]:
    return list(combinations(range(size), 2))


def _best_worst(size: int) -> list[tuple[int, int]]:
    return [(0, size - 1)]


def _adjacent(size: int) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(size - 1)]


def _best_rest(size: int) -> list[tuple[int, int]]:
    return [(0, i) for i in range(1, size)]


_CHOICES = {
    "all": _all,
    "best_worst": _best_worst,
    "best_rest": _best_rest,
    "adjacent": _adjacent,
    "random": _all,
    "best_random": _best_rest,
}


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


def _won(item: Example, pair: tuple[int, int]) -> float:
    """P(the first of two beats the second). Raises ``DataError`` where nobody says it."""
    if item.wins is None:
        raise DataError(
            f"{item.where}: arity.least reads win probabilities, and this row has none: take an annotator "
            "that gives them, or arity.least=null"
        )
    return item.wins[pair[0]][pair[1]]
