"""Ratings from comparisons: Bradley-Terry by maximum likelihood, and Elo's update game by game.

Ratings are in Elo points: 400 points are odds of 10 to 1. A game is (i, j, share of i): 1 is a win, 1/2
a tie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Game = tuple[int, int, float]
Vector = NDArray[np.floating]

POINTS = 400 / np.log(10)
"""Elo points per nat of log-odds."""

_STEPS = 200


def bradley_terry(games: Sequence[Game], players: int, ridge: float) -> Vector:
    """The ratings that make the games most likely; their mean is 0.

    Bradley and Terry 1952 (Biometrika 39): P(i beats j) = sigmoid(theta_i - theta_j), a tie half a win for
    each. The prior -ridge / 2 sum theta^2 (theta in nats) keeps the rating of one who never lost finite, and
    sets groups that never met side by side, each around 0. Newton's method; the maximum is the only one.
    """
    won_NN = np.zeros((players, players))
    for i, j, share in games:
        won_NN[i, j] += share
        won_NN[j, i] += 1 - share
    np.fill_diagonal(won_NN, 0.0)  # nobody beats himself
    met_NN = won_NN + won_NN.T
    theta_N = np.zeros(players)
    for _ in range(_STEPS):
        slope_N, curve_NN = _derivatives(theta_N, won_NN, met_NN, ridge)
        step_N = np.linalg.solve(curve_NN, slope_N)
        if np.abs(step_N).max() < 1e-12 * (1 + np.abs(theta_N).max()):
            break
        theta_N = theta_N + _shortened(theta_N, step_N, won_NN, ridge)
    return POINTS * theta_N


def sequential(games: Sequence[Game], players: int, k_factor: float) -> Vector:
    """Elo 1978 (The Rating of Chessplayers): after each game a rating moves by K (share - expected share).

    All begin at 0, and their sum stays 0. What comes out depends on the order of the games.
    """
    rating_N = np.zeros(players)
    for i, j, share in games:
        change = k_factor * (share - expected(rating_N[i] - rating_N[j]))
        rating_N[i] += change
        rating_N[j] -= change
    return rating_N


def expected(lead: float) -> float:
    """P(win) of one who is ahead by so many Elo points."""
    return float(1 / (1 + np.exp(-np.clip(lead / POINTS, -700, 700))))


def _log_likelihood(theta_N: Vector, won_NN: Vector, ridge: float) -> float:
    gap_NN = theta_N[:, None] - theta_N[None, :]
    return float(-(won_NN * np.logaddexp(0, -gap_NN)).sum() - ridge / 2 * (theta_N**2).sum())


def _derivatives(theta_N: Vector, won_NN: Vector, met_NN: Vector, ridge: float) -> tuple[Vector, Vector]:
    """Gradient, and minus the Hessian, which is positive definite."""
    win_NN = np.exp(-np.logaddexp(0, theta_N[None, :] - theta_N[:, None]))
    slope_N = (won_NN - met_NN * win_NN).sum(1) - ridge * theta_N
    spread_NN = met_NN * win_NN * win_NN.T
    return slope_N, np.diag(spread_NN.sum(1) + ridge) - spread_NN


def _shortened(theta_N: Vector, step_N: Vector, won_NN: Vector, ridge: float) -> Vector:
    """The step, halved until the likelihood does not fall."""
    before = _log_likelihood(theta_N, won_NN, ridge)
    for _ in range(60):
        if _log_likelihood(theta_N + step_N, won_NN, ridge) >= before:
            return step_N
        step_N = step_N / 2
    return np.zeros_like(step_N)
