"""What a handful of runs and a test file of some hundred rows can show: means, their errors, a bootstrap."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error, in the unit of what was averaged."""

    mean: float
    error: float

    def above(self, value: float, errors: float = 2.0) -> bool:
        """Whether the mean exceeds ``value`` by at least so many standard errors (NaN never does)."""
        return self.mean - value >= errors * self.error


def accuracy_of_seeds(accuracies: Sequence[float], rows: int) -> Estimate:
    """The accuracy over all seeds, with an error that covers both the seeds and the test rows.

    ``accuracies``: of each seed, on the same ``rows`` rows, where a tie counts half. A row's mean over the
    seeds lies in [0, 1], so its variance is at most p (1 - p); that bound over ``rows`` is added to the
    variance of the mean over seeds. ``ValueError`` for less than one row or no seed; with one seed the
    rows alone count.
    """
    if rows < 1 or not accuracies:
        raise ValueError(f"an accuracy needs a seed and a row, got {len(accuracies)} and {rows}")
    p = sum(accuracies) / len(accuracies)
    return Estimate(p, math.hypot(math.sqrt(p * (1 - p) / rows), _error_of_mean(accuracies)))


def _error_of_mean(values: Sequence[float]) -> float:
    n = len(values)
    if n < 2:
        return 0.0
    mean = sum(values) / n
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def ranking_accuracy(values: Sequence[float], scores: Sequence[float], tie: float = 0.0) -> float | None:
    """The share of pairs with different scores that ``values`` order alike; equal values count half.

    Scores that differ by less than ``tie`` are not different. None where no two are.
    """
    better = [(i, j) for i, a in enumerate(scores) for j, b in enumerate(scores) if a > b]
    pairs = [(i, j) for i, j in better if scores[i] - scores[j] >= tie]
    if not pairs:
        return None
    right = sum((values[i] > values[j]) + 0.5 * (values[i] == values[j]) for i, j in pairs)
    return right / len(pairs)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap_of_ratio(
    above: Sequence[float], below: Sequence[float], draws: int = 10_000, seed: int = 0
) -> tuple[Interval, float]:
    """sum(above) / sum(below) over resampled groups, and how often it is 0 or less (one-sided p).

    A group is a prompt with so many pairs. ``ValueError`` if there is no group.
    """
    if not above:
        raise ValueError("a bootstrap needs at least one group")
    rng, n, index = random.Random(seed), len(above), range(len(above))
    means = []
    for _ in range(draws):
        drawn = rng.choices(index, k=n)
        means.append(sum(above[i] for i in drawn) / sum(below[i] for i in drawn))
    means.sort()
    interval = Interval(
        sum(above) / sum(below), means[int(0.025 * draws)], means[math.ceil(0.975 * draws) - 1]
    )
    return interval, sum(mean <= 0 for mean in means) / draws


def paired_bootstrap(differences: Sequence[float], draws: int = 10_000, seed: int = 0) -> Interval:
    """The mean of paired differences with the percentile interval over resampled pairs.

    Efron and Tibshirani 1993, chapter 13. ``ValueError`` if there is no pair.
    """
    if not differences:
        raise ValueError("a bootstrap needs at least one pair")
    rng, n = random.Random(seed), len(differences)
    means = sorted(sum(rng.choices(differences, k=n)) / n for _ in range(draws))
    return Interval(sum(differences) / n, means[int(0.025 * draws)], means[math.ceil(0.975 * draws) - 1])
