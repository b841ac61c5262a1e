"""Errors, rankings and the bootstrap by hand numbers."""

from __future__ import annotations

import math

import pytest

from xpo.claims.real_data.statistics import (
    Estimate,
    accuracy_of_seeds,
    paired_bootstrap,
    ranking_accuracy,
)


def test_one_seed_has_the_error_of_its_rows() -> None:
    # 64 of 100 rows right: sqrt(0.64 * 0.36 / 100) = 0.8 * 0.6 / 10
    assert accuracy_of_seeds([0.64], 100) == Estimate(0.64, pytest.approx(0.048))


def test_seeds_add_their_own_error() -> None:
    # variance over seeds 0.01, over 3 seeds; of the rows 0.25 / 25
    found = accuracy_of_seeds([0.4, 0.5, 0.6], 25)
    assert found.mean == pytest.approx(0.5)
    assert found.error == pytest.approx(math.sqrt(0.01 / 3 + 0.01))


def test_the_error_of_rows_bounds_that_of_ties_and_of_means_over_seeds() -> None:
    # four rows, two seeds: right twice, once, tied twice, never; their means' own error is smaller
    means = [1.0, 0.5, 0.5, 0.0]
    own = math.sqrt(sum((m - 0.5) ** 2 for m in means) / 4 / 4)
    assert accuracy_of_seeds([0.5, 0.5], 4).error == 0.25 > own


def test_two_standard_errors_above_chance() -> None:
    assert Estimate(0.75, 0.125).above(0.5) and not Estimate(0.75, 0.126).above(0.5)
    assert not Estimate(0.5, 0.01).above(0.5) and not Estimate(math.nan, 0.01).above(0.5)


def test_no_seed_or_row() -> None:
    with pytest.raises(ValueError, match="a seed and a row"):
        accuracy_of_seeds([], 3)
    with pytest.raises(ValueError, match="a seed and a row"):
        accuracy_of_seeds([0.5], 0)


def test_ranking_by_hand() -> None:
    # pairs with different scores: (0, 1), (0, 2); (1, 2) ties in the scores and does not count
    assert ranking_accuracy([-1.0, -2.0, -0.5], [1.0, 0.0, 0.0]) == 0.5
    assert ranking_accuracy([-1.0, -1.0], [1.0, 0.0]) == 0.5  # a tie of the values counts half
    assert ranking_accuracy([3.0, 2.0, 1.0], [0.9, 0.5, 0.1]) == 1.0
    assert ranking_accuracy([1.0, 2.0], [0.5, 0.5]) is None


def test_scores_closer_than_the_tie_are_not_compared() -> None:
    # (0, 1) is 0.25 apart and ordered wrongly, (0, 2) and (1, 2) are 0.75 and 0.5 apart and ordered rightly
    values, scores = [2.0, 3.0, 1.0], [1.0, 0.75, 0.25]
    assert ranking_accuracy(values, scores) == pytest.approx(2 / 3)
    assert ranking_accuracy(values, scores, tie=0.25) == pytest.approx(2 / 3)
    assert ranking_accuracy(values, scores, tie=0.3) == 1.0
    assert ranking_accuracy(values, scores, tie=0.8) is None


def test_the_bootstrap_of_equal_gains_is_a_point() -> None:
    found = paired_bootstrap([0.25] * 7)
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_the_bootstrap_of_two_pairs_is_enumerable() -> None:
    # resampled means are -1, 0 and 1 with chances 1/4, 1/2 and 1/4
    found = paired_bootstrap([-1.0, 1.0])
    assert (found.mean, found.low, found.high) == (0.0, -1.0, 1.0)


def test_the_bootstrap_is_as_wide_as_the_normal_interval_of_many_pairs() -> None:
    gains = [0.1 + (-0.2 if i % 2 else 0.2) for i in range(400)]
    found = paired_bootstrap(gains)
    half = 1.96 * 0.2 / math.sqrt(400)
    assert found.low == pytest.approx(0.1 - half, abs=0.002)
    assert found.high == pytest.approx(0.1 + half, abs=0.002)
    assert paired_bootstrap(gains) == found


def test_no_pair() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        paired_bootstrap([])
