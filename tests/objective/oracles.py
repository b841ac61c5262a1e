"""Objectives once more, as loops over plain numbers, from the papers' equations for one row."""

from __future__ import annotations

import math
from collections.abc import Sequence

Table = Sequence[Sequence[float]]


def softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def logistic(rewards: Sequence[float], prefer: Table, margin: float = 0.0, smoothing: float = 0.0) -> float:
    total = 0.0
    for i, r in enumerate(rewards):
        for j, s in enumerate(rewards):
            gap = r - s - margin
            total += prefer[i][j] * ((1 - smoothing) * softplus(-gap) + smoothing * softplus(gap))
    return total


def squared(rewards: Sequence[float], prefer: Table, tau: float, margin: float = 0.0) -> float:
    total = 0.0
    for i, r in enumerate(rewards):
        for j, s in enumerate(rewards):
            total += prefer[i][j] * (r - s - margin - 0.5 / tau) ** 2
    return total


def hinge(rewards: Sequence[float], prefer: Table, margin: float = 0.0) -> float:
    total = 0.0
    for i, r in enumerate(rewards):
        for j, s in enumerate(rewards):
            total += prefer[i][j] * max(0.0, 1 - (r - s - margin))
    return total


def odds_ratio(mean_logps: Sequence[float], prefer: Table, margin: float = 0.0) -> float:
    """ORPO on probabilities: odds = p / (1 - p)."""
    odds = [math.exp(a) / (1 - math.exp(a)) for a in mean_logps]
    total = 0.0
    for i, r in enumerate(odds):
        for j, s in enumerate(odds):
            total -= prefer[i][j] * math.log(sigmoid(math.log(r / s) - margin))
    return total


def prospect(
    rewards: Sequence[float],
    good: Sequence[float],
    bad: Sequence[float],
    mismatched: Sequence[float],
    weights: tuple[float, float] = (1.0, 1.0),
) -> float:
    """KTO equation 8: lambda_y - v(x, y), with lambda_y itself as the constant."""
    z0 = max(0.0, sum(mismatched) / len(mismatched))
    total = 0.0
    for r, g, b in zip(rewards, good, bad, strict=True):
        total += g * (weights[0] - weights[0] * sigmoid(r - z0))
        total += b * (weights[1] - weights[1] * sigmoid(z0 - r))
    return total


def preference_ranking(rewards: Sequence[float], scores: Sequence[float]) -> float:
    """PRO equation 7 over a sorted list: at each step the best of what is left against the rest."""
    order = sorted(range(len(scores)), key=lambda k: -scores[k])
    total = 0.0
    for place, k in enumerate(order):
        worse = [j for j in order[place + 1 :] if scores[j] < scores[k]]
        if not worse:
            continue
        temperatures = {j: scores[k] - scores[j] for j in worse}
        own = math.exp(rewards[k] * max(temperatures.values()))
        rest = sum(math.exp(rewards[j] * temperature) for j, temperature in temperatures.items())
        total -= math.log(own / (own + rest))
    return total


def likelihood(logps: Sequence[Sequence[float]], demo: Sequence[float]) -> float:
    total = 0.0
    for tokens, mass in zip(logps, demo, strict=True):
        for logp in tokens:
            total -= mass * logp
    return total
