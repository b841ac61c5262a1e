"""Ratings by hand, by brute force, and what they do not depend on."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from xpo.annotator import ratings
from xpo.annotator.ratings import bradley_terry, expected, sequential

# three players who all met: 0 beats 1 three times in four, 1 beats 2 twice in three, 0 and 2 tie once
GAMES = [
    (0, 1, 1.0),
    (0, 1, 1.0),
    (1, 0, 0.0),
    (0, 1, 0.0),
    (1, 2, 1.0),
    (2, 1, 0.0),
    (2, 1, 1.0),
    (0, 2, 0.5),
]


def brute_force(games: list[tuple[int, int, float]], ridge: float) -> list[float]:
    """The most likely ratings of three players whose mean is 0, on ever finer grids; in Elo points."""
    best, width = (0.0, 0.0), 4.0
    for _ in range(40):
        grid = [
            (best[0] + width * a / 8, best[1] + width * b / 8) for a, b in product(range(-8, 9), repeat=2)
        ]

        def likelihood(point: tuple[float, float]) -> float:
            theta = [*point, -sum(point)]
            odds = [(math.exp(theta[i]), math.exp(theta[j]), s) for i, j, s in games]
            fits = sum(s * math.log(a / (a + b)) + (1 - s) * math.log(b / (a + b)) for a, b, s in odds)
            return fits - ridge / 2 * sum(t * t for t in theta)

        best, width = max(grid, key=likelihood), width / 2
    return [400 * t / math.log(10) for t in (*best, -sum(best))]


def test_three_wins_in_four_are_191_points() -> None:
    found = bradley_terry([(0, 1, 1.0)] * 3 + [(0, 1, 0.0)], 2, 1e-9)
    assert found[0] - found[1] == pytest.approx(190.85, abs=0.005)
    assert expected(190.85) == pytest.approx(0.75, abs=1e-5)
    assert expected(400) == pytest.approx(10 / 11) and expected(0) == 0.5 and expected(-1e9) < 1e-300


@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0])
def test_it_is_the_maximum_of_the_likelihood(ridge: float) -> None:
    assert list(bradley_terry(GAMES, 3, ridge)) == pytest.approx(brute_force(GAMES, ridge), abs=1e-3)


def test_a_mutant_is_no_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ratings._derivatives

    def turned(*arguments: object) -> object:
        slope_N, curve_NN = real(*arguments)  # type: ignore[arg-type]
        return slope_N + 0.1 * np.arange(len(slope_N)), curve_NN

    monkeypatch.setattr(ratings, "_derivatives", turned)
    assert list(bradley_terry(GAMES, 3, 0.01)) != pytest.approx(brute_force(GAMES, 0.01), abs=1e-3)


def test_what_it_does_not_depend_on() -> None:
    found = bradley_terry(GAMES, 3, 0.01)
    assert bradley_terry(GAMES[::-1], 3, 0.01) == pytest.approx(found)
    assert bradley_terry([(j, i, 1 - s) for i, j, s in GAMES], 3, 0.01) == pytest.approx(found)
    turned = bradley_terry([(2 - i, 2 - j, s) for i, j, s in GAMES], 3, 0.01)
    assert turned[::-1] == pytest.approx(found)
    assert bradley_terry([(i, j, 1 - s) for i, j, s in GAMES], 3, 0.01) == pytest.approx(-found)
    assert bradley_terry([*GAMES, (1, 1, 1.0)], 3, 0.01) == pytest.approx(found)  # against oneself
    halves = [(i, j, s) for i, j, s in GAMES if s != 0.5] + [(0, 2, 1.0), (0, 2, 0.0)]
    twice = [game for game in GAMES if game[2] != 0.5] + [(0, 2, 0.5)] * 2
    assert bradley_terry(halves, 3, 0.01) == pytest.approx(bradley_terry(twice, 3, 0.01))
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_who_never_lost_has_a_finite_rating() -> None:
    found = bradley_terry([(0, 1, 1.0)] * 50 + [(1, 2, 1.0)] * 50, 3, 0.01)
    assert np.isfinite(found).all() and found[0] > found[1] > found[2]
    lead = (found[0] - found[1]) * math.log(10) / 400
    assert 50 / (1 + math.exp(lead)) == pytest.approx(0.01 * found[0] * math.log(10) / 400)  # slope = 0


def test_groups_that_never_met_stand_around_0_each() -> None:
    found = bradley_terry([(0, 1, 1.0), (2, 3, 1.0), (2, 3, 1.0)], 4, 0.01)
    assert found[0] + found[1] == pytest.approx(0) and found[2] + found[3] == pytest.approx(0)


def test_elo_game_by_game() -> None:
    # 0 wins: +16; then leads by 32, expects 0.5459, loses: -17.47
    found = sequential([(0, 1, 1.0), (0, 1, 0.0)], 2, 32)
    assert list(found) == pytest.approx([-1.4692, 1.4692], abs=1e-3)
    assert list(sequential([(0, 1, 1.0)], 2, 32)) == [16, -16]
    assert list(sequential([(0, 1, 0.5)], 2, 32)) == [0, 0]


def test_elo_depends_on_the_order_of_the_games() -> None:
    one, other = (
        sequential(games, 2, 32) for games in ([(0, 1, 1.0), (0, 1, 0.0)], [(0, 1, 0.0), (0, 1, 1.0)])
    )
    assert one[0] == pytest.approx(-other[0]) and abs(one[0]) > 1
    assert sequential(GAMES, 3, 32).sum() == pytest.approx(0, abs=1e-9)
