"""Losses of lists, as loops over plain numbers from the papers' equations, for one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tests.objective.oracles import sigmoid, softplus

Values = Sequence[float]
Oracle = Callable[[Values, Values], float]
"""Rewards and scores of one list."""


def shares(values: Values) -> list[float]:
    top = max(values)
    weights = [math.exp(v - top) for v in values]
    return [w / sum(weights) for w in weights]


def ordered_pairs(scores: Values) -> list[tuple[int, int]]:
    return [(i, j) for i, a in enumerate(scores) for j, b in enumerate(scores) if a > b]


def softmax(rewards: Values, scores: Values) -> float:
    return -sum(q * math.log(p) for q, p in zip(shares(scores), shares(rewards), strict=True))


def softmax_reverse_kl(rewards: Values, scores: Values) -> float:
    return sum(p * math.log(p / q) for q, p in zip(shares(scores), shares(rewards), strict=True))


def noise_contrastive(rewards: Values, scores: Values) -> float:
    data = sum(q * softplus(-r) for q, r in zip(shares(scores), rewards, strict=True))
    return data + sum(map(softplus, rewards)) / len(rewards)


def point_squared(rewards: Values, scores: Values) -> float:
    return sum((r - s) ** 2 for r, s in zip(rewards, scores, strict=True)) / len(rewards)


def plackett_luce(rewards: Values, scores: Values) -> float:
    """Of a list without ties: one draw after another, without replacement."""
    left = sorted(range(len(scores)), key=lambda k: -scores[k])
    likelihood = 1.0
    while left:
        likelihood *= math.exp(rewards[left[0]]) / sum(math.exp(rewards[k]) for k in left)
        left = left[1:]
    return -math.log(likelihood)


def pair_logistic(rewards: Values, scores: Values) -> float:
    return sum(-math.log(sigmoid(rewards[i] - rewards[j])) for i, j in ordered_pairs(scores))


def pair_hinge(delta: float) -> Oracle:
    return lambda rewards, scores: sum(
        max(0.0, delta - (rewards[i] - rewards[j])) for i, j in ordered_pairs(scores)
    )


def deltas(rewards: Values, scores: Values) -> dict[tuple[int, int], float]:
    """LiPO's weight of each ordered pair. psi: the share of the others, ties left out, that rank below."""
    everyone = range(len(scores))
    gain = []
    for k in everyone:
        others = [s for s in scores if s != scores[k]]
        gain.append(2 ** (sum(s < scores[k] for s in others) / max(1, len(others))) - 1)
    order = sorted(everyone, key=lambda k: (-rewards[k], -scores[k]))
    discount = {k: 1 / math.log(1 + place) for place, k in enumerate(order, 1)}
    return {(i, j): abs(gain[i] - gain[j]) * abs(discount[i] - discount[j]) for i, j in ordered_pairs(scores)}


def lambda_logistic(rewards: Values, scores: Values) -> float:
    weight = deltas(rewards, scores)
    return sum(weight[pair] * softplus(rewards[pair[1]] - rewards[pair[0]]) for pair in weight)


def contrastive(strength: float, over: Callable[[Values], float]) -> Oracle:
    """Of a list with one best response."""

    def value(rewards: Values, scores: Values) -> float:
        best = max(range(len(scores)), key=lambda k: scores[k])
        leads = [
            rewards[k] - rewards[best] + strength * (scores[best] - scores[k])
            for k in range(len(scores))
            if k != best
        ]
        return max(0.0, over(leads)) if leads else 0.0

    return value


def preference_ranking(rewards: Values, scores: Values) -> float:
    """PRO, with the temperatures of the official code."""
    value = 0.0
    for k, score in enumerate(scores):
        gaps = {j: score - other for j, other in enumerate(scores) if other < score}
        if gaps:
            own = rewards[k] * max(gaps.values())
            value += math.log(1 + sum(math.exp(rewards[j] * gap - own) for j, gap in gaps.items()))
    return value


def mean(values: Values) -> float:
    return sum(values) / len(values)
