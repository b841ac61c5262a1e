"""The first loss of each policy gradient, from its paper's equations in plain Python, loops and all.

The policy is the reference and the one that drew: log-ratios are 0, ratios 1, critics say 0. What is left are
scores and log-probabilities.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """A prompt's samples: log p of their tokens, scores, costs."""

    logps: Sequence[Sequence[float]]
    scores: Sequence[float]
    costs: Sequence[float]


Advantages = Callable[[Sequence[Told]], list[list[list[float]]]]
"""Of each token of each sample of each prompt."""
First = Callable[[Sequence[Told]], float]


def same(told: Told, values: Sequence[float]) -> list[list[float]]:
    """A sample's number at each of its tokens."""
    return [[value] * len(logps) for value, logps in zip(values, told.logps, strict=True)]


def scores(batch: Sequence[Told]) -> list[list[list[float]]]:
    return [same(told, told.scores) for told in batch]


def others(batch: Sequence[Told]) -> list[list[list[float]]]:
    def left_out(told: Told) -> list[float]:
        count = len(told.scores) - 1
        return [s - (sum(told.scores) - s) / count for s in told.scores]

    return [same(told, left_out(told)) for told in batch]


def group(scaled: bool) -> Advantages:
    def of(told: Told) -> list[float]:
        mean = statistics.mean(told.scores)
        size = statistics.stdev(told.scores) + 1e-4 if scaled else 1.0
        return [(s - mean) / size for s in told.scores]

    return lambda batch: [same(told, of(told)) for told in batch]


def fading(lam: float, cost: bool = False) -> Advantages:
    """lam^(tokens left) of what stands at the end, since V = 0 everywhere."""

    def of(told: Told) -> list[list[float]]:
        ends = told.costs if cost else told.scores
        return [
            [lam ** (len(row) - 1 - t) * end for t in range(len(row))]
            for row, end in zip(told.logps, ends, strict=True)
        ]

    return lambda batch: [of(told) for told in batch]


def whitened(advantages: Advantages) -> Advantages:
    def of(batch: Sequence[Told]) -> list[list[list[float]]]:
        table = advantages(batch)
        flat = [a for rows in table for row in rows for a in row]
        mean, size = statistics.mean(flat), (statistics.pvariance(flat) + 1e-8) ** 0.5
        return [[[(a - mean) / size for a in row] for row in rows] for rows in table]

    return of


def mixed(batch: Sequence[Told]) -> list[list[list[float]]]:
    """(A_r - lambda A_c) / (1 + lambda) at lambda = 1."""
    pair = zip(fading(0.95)(batch), fading(0.95, cost=True)(batch), strict=True)
    return [
        [[(a - c) / 2 for a, c in zip(r, q, strict=True)] for r, q in zip(rows, costs, strict=True)]
        for rows, costs in pair
    ]


def plain(advantages: Advantages, over: str) -> First:
    """-sum A log p."""
    return lambda batch: reduced(batch, advantages(batch), [t.logps for t in batch], over)


def surrogate(advantages: Advantages, over: str) -> First:
    """-sum A, as all ratios are 1."""

    def ones(told: Told) -> list[list[float]]:
        return [[1.0] * len(row) for row in told.logps]

    return lambda batch: reduced(batch, advantages(batch), [ones(t) for t in batch], over)


def reduced(
    batch: Sequence[Told],
    advantages: Sequence[Sequence[Sequence[float]]],
    factors: Sequence[Sequence[Sequence[float]]],
    over: str,
) -> float:
    total = tokens = 0.0
    for told, rows, known in zip(batch, advantages, factors, strict=True):
        for row, factor in zip(rows, known, strict=True):
            loss = -sum(a * f for a, f in zip(row, factor, strict=True)) / len(told.logps)
            total += loss / {"responses": len(row), "64": 64}.get(over, 1)
            tokens += len(row) / len(told.logps)
    return total / (tokens if over == "tokens" else len(batch))


def critics(*returns: Advantages) -> First:
    """0.1 times the mean over tokens of half of the squared returns."""

    def value(batch: Sequence[Told]) -> float:
        found = 0.0
        for wanted in returns:
            total = tokens = 0.0
            for told, rows in zip(batch, wanted(batch), strict=True):
                total += sum(g * g / 2 for row in rows for g in row) / len(rows)
                tokens += sum(map(len, told.logps)) / len(rows)
            found += 0.1 * total / tokens
        return found

    return value


def both(*parts: First) -> First:
    return lambda batch: sum(part(batch) for part in parts)


PPO = both(surrogate(whitened(fading(0.95)), "tokens"), critics(fading(0.95)))
A2C = both(plain(scores, "tokens"), critics(scores))
FIRST: dict[str, First] = {
    "reinforce": plain(scores, "rows"),
    "rloo": plain(others, "rows"),
    "reinforce_pp": surrogate(whitened(scores), "tokens"),
    "reinforce_pp_baseline": surrogate(whitened(group(scaled=False)), "tokens"),
    "grpo": surrogate(group(scaled=True), "responses"),
    "gspo": surrogate(group(scaled=True), "responses"),
    "dapo": surrogate(group(scaled=True), "tokens"),
    "dr_grpo": surrogate(group(scaled=False), "64"),
    **dict.fromkeys(("a2c", "rlaif_google", "rlaif_google_direct"), A2C),
    **dict.fromkeys(("ppo", "ppo_ptx", "rlhf_instructgpt", "rlhf_anthropic", "rlaif_anthropic"), PPO),
    "safe_rlhf": both(surrogate(mixed, "tokens"), critics(fading(0.95), fading(0.95, cost=True))),
}
"""By preset. Rewards of parts are placed by hand in test_parts.py."""
