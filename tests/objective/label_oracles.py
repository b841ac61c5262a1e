"""Objectives that are no curves of gaps, as loops over plain numbers: the papers' equations for one row."""

from __future__ import annotations

import math
from collections.abc import Sequence

Table = Sequence[Sequence[float]]
BETA = 0.7


def sigmoid(x: float) -> float:
    return math.exp(x) / (1 + math.exp(x))


def pairs(prefer: Table) -> list[tuple[int, int, float]]:
    return [(i, j, mass) for i, line in enumerate(prefer) for j, mass in enumerate(line)]


def reverse_kl_labels(r: Sequence[float], prefer: Table) -> float:
    """Each unordered pair once: softmax over two, divided by the label distribution."""
    total = 0.0
    for i in range(len(r)):
        for j in range(i):
            mass = prefer[i][j] + prefer[j][i]
            for k, share in ((i, prefer[i][j] / mass), (j, prefer[j][i] / mass)):
                p = math.exp(r[k]) / (math.exp(r[i]) + math.exp(r[j]))
                total += mass * p * math.log(p / share)
    return total


def calibrated(r: Sequence[float], prefer: Table, beta: float, c: float) -> float:
    half = 1 / (2 * beta)
    return sum(
        mass * (-math.log(sigmoid(r[i] - r[j])) + c * ((r[i] - half) ** 2 + (r[j] + half) ** 2))
        for i, j, mass in pairs(prefer)
    )


def anchored(
    r: Sequence[float], good: Sequence[float], bad: Sequence[float], w: tuple[float, float]
) -> float:
    return sum(
        g * w[0] * (1 - sigmoid(x)) + b * w[1] * sigmoid(x) for x, g, b in zip(r, good, bad, strict=True)
    )


def anchored_down(r: Sequence[float], prefer: Table) -> float:
    return sum(mass * (sigmoid(r[i]) + 1 - sigmoid(r[i] - r[j])) for i, j, mass in pairs(prefer))


def noise_contrastive(r: Sequence[float], prefer: Table) -> float:
    """q_k is how often k is preferred; the noise term counts both of a pair by half."""
    total = 0.0
    for i, j, mass in pairs(prefer):
        noise = math.log(sigmoid(-r[i])) + math.log(sigmoid(-r[j]))
        total -= mass * (math.log(sigmoid(r[i])) + noise / 2)
    return total


def win_rate_regression(r: Sequence[float], prefer: Table, itself: bool) -> float:
    total, size = 0.0, len(r)
    for i in range(size):
        others = [j for j in range(size) if j != i]
        mass = sum(prefer[i][j] + prefer[j][i] for j in others)
        wins = sum(prefer[i][j] for j in others)
        if not others:
            continue
        rate = wins / mass
        if itself:
            rate = (len(others) * rate + 0.5) / size
        total += mass / 2 * (r[i] / BETA - (rate - 0.5) / BETA) ** 2
    return total


def response_logistic(r: Sequence[float], good: Sequence[float], bad: Sequence[float]) -> float:
    return sum(
        -2 / BETA * (g * math.log(sigmoid(x)) + b * math.log(sigmoid(-x)))
        for x, g, b in zip(r, good, bad, strict=True)
    )


def group_contrast(r: Sequence[float], good: Sequence[float], bad: Sequence[float], alpha: float) -> float:
    """In log-ratios: beta times the mean of good ones minus alpha times the mean of bad ones."""
    ratio = [x / BETA for x in r]
    up = sum(x * g for x, g in zip(ratio, good, strict=True)) / sum(good)
    down = sum(x * b for x, b in zip(ratio, bad, strict=True)) / sum(bad)
    return -(sum(good) + sum(bad)) * math.log(sigmoid(BETA * up - alpha * down))


def unlikelihood(logp: Table, good: Sequence[float], bad: Sequence[float], weight: float) -> float:
    total = 0.0
    for tokens, g, b in zip(logp, good, bad, strict=True):
        total -= sum(g * x + weight * b * math.log(1 - math.exp(x)) for x in tokens)
    return total
