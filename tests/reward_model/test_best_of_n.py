"""The best of n by counting: every subset, every sequence of draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch

from xpo.reward_model.best_of_n import best_logp, estimate, exact, exact_kl, kl

SCORE = [0.3, -1.0, 2.0, 0.3, 0.9, -1.0]
VALUE = [1.0, 5.0, -2.0, 3.0, 0.5, 0.25]
P = [0.1, 0.2, 0.05, 0.15, 0.3, 0.2]


def chosen(group: Sequence[int]) -> float:
    """The mean value of the group's best by score."""
    top = max(SCORE[i] for i in group)
    best = [VALUE[i] for i in group if SCORE[i] == top]
    return sum(best) / len(best)


def tensors(*lists: list[float]) -> list[torch.Tensor]:
    return [torch.tensor(values, dtype=torch.float64) for values in lists]


@pytest.mark.parametrize("n", range(1, 7))
def test_the_estimate_is_the_mean_over_all_subsets(n: int):
    subsets = list(itertools.combinations(range(6), n))
    expected = sum(map(chosen, subsets)) / len(subsets)
    score_M, value_M = tensors(SCORE, VALUE)
    assert estimate(n, score_M, value_M) == pytest.approx(expected, abs=1e-12)
    backwards = estimate(n, -score_M, value_M)
    assert n in (1, 6) or backwards != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_exact_value_is_the_mean_over_all_draws(n: int):
    score_M, value_M, p_M = tensors(SCORE, VALUE, P)
    expected = sum(
        math.prod(P[i] for i in draws) * chosen(draws) for draws in itertools.product(range(6), repeat=n)
    )
    assert exact(n, score_M, value_M, p_M.log()) == pytest.approx(expected, abs=1e-12)
    assert best_logp(n, score_M, p_M.log()).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert n == 1 or exact(n, -score_M, value_M, p_M.log()) != pytest.approx(expected, abs=1e-3)


def test_kl_of_the_best_of_n():
    assert kl(1) == 0
    assert kl(4) == pytest.approx(0.636294361, abs=1e-9)
    many = torch.arange(20_000, dtype=torch.float64)
    even = torch.full_like(many, -math.log(len(many)))
    for n in (2, 8, 64):
        assert exact_kl(n, many, even) == pytest.approx(kl(n), abs=2e-3)
        assert exact_kl(n, many, even) < kl(n)
    assert exact_kl(4, torch.zeros(20_000), even) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n", [0, 7])
def test_no_more_than_there_are(n: int):
    with pytest.raises(ValueError, match=f"from 1 to the number of samples, 6, got {n}"):
        estimate(n, *tensors(SCORE, VALUE))
