"""Label curves: with how many labels a level is reached, and the ratio of two such numbers over seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Runs = Sequence[Sequence[float]]
"""For each seed, what a model lacks after each round: less is better."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """Labels of a choice by labels of the draw at a level; ``math.inf`` where the choice never reaches it.

    ``low`` and ``high``: 95 % of the resamples of seeds lie between them.
    """

    level: float
    drawn: float
    chosen: float
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.chosen / self.drawn

    @property
    def fewer(self) -> bool:
        """Whether fewer labels are enough, whatever seeds are drawn."""
        return self.high < 1


def mean(runs: Runs) -> list[float]:
    """Over seeds."""
    return [sum(values) / len(values) for values in zip(*runs, strict=True)]


def reached(labels: Sequence[int], lacks: Sequence[float], level: float) -> float:
    """The number of labels at which a curve is at the level for the first time, on straight lines between
    rounds; ``math.inf`` if it never is."""
    if lacks[0] <= level:
        return float(labels[0])
    for i in range(1, len(lacks)):
        if lacks[i] <= level:
            share = (lacks[i - 1] - level) / (lacks[i - 1] - lacks[i])
            return labels[i - 1] + share * (labels[i] - labels[i - 1])
    return math.inf


def ratio(labels: Sequence[int], drawn: Runs, chosen: Runs, rounds: int) -> Ratio:
    """At the level that random labels are at after so many rounds; both curves are means over seeds.

    The interval is that of pairs of runs of the same seed, drawn again with replacement, from which the level
    is read anew. ``ValueError`` for another number of runs on one of the sides.
    """
    if len(drawn) != len(chosen):
        raise ValueError(
            f"{len(drawn)} runs with drawn labels and {len(chosen)} with chosen: as many of each"
        )
    level, by_draw, by_choice = _both(labels, drawn, chosen, rounds)
    generator, found = random.Random(0), []
    for _ in range(RESAMPLES):
        seeds = generator.choices(range(len(drawn)), k=len(drawn))
        _, few, many = _both(labels, [drawn[s] for s in seeds], [chosen[s] for s in seeds], rounds)
        found.append(many / few)
    found.sort()
    ends = found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES) - 1]
    return Ratio(level, by_draw, by_choice, *ends)


def _both(labels: Sequence[int], drawn: Runs, chosen: Runs, rounds: int) -> tuple[float, float, float]:
    by_draw = mean(drawn)
    level = by_draw[rounds - 1]
    return level, reached(labels, by_draw, level), reached(labels, mean(chosen), level)
