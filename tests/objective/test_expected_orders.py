"""The likelihood of rankings in expectation: against all orders one by one, by hand, where it is least."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch

from tests.objective.test_objective import loss, pair, slopes
from xpo.contracts import Context
from xpo.objective.expected_list_mle import ExpectedListMLE
from xpo.objective.list_mle import ListMLE
from xpo.testing import failures, toy


def orders(values):
    """Each order (best first) with its probability under Plackett and Luce."""
    for order in itertools.permutations(range(len(values))):
        probability, left = 1.0, list(order)
        for k in order:
            probability *= math.exp(values[k]) / sum(math.exp(values[j]) for j in left)
            left.remove(k)
        yield order, probability


@pytest.mark.parametrize("responses", [1, 2, 3, 4])
def test_it_is_the_mean_of_list_mle_over_drawn_orders(responses):
    t = toy(rows=3, responses=responses, seed=4)
    expected = []
    for b in range(3):
        there = [k for k in range(responses) if t.batch.mask_BKT[b, k].any()]
        scores, total = t.batch.score_BK[b][there].tolist(), 0.0
        for order, probability in orders(scores):
            prefer = torch.zeros(1, responses, responses, dtype=torch.float64)
            for better, worse in itertools.combinations(order, 2):
                prefer[0, there[better], there[worse]] = 1.0
            one = t.rows([b]).replace(prefer_BKK=prefer)
            total += probability * ListMLE()(one.reward_BK, one.batch, Context()).item()
        expected.append(total)
    found = loss(ExpectedListMLE(), t)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)


def test_a_pair_by_hand():
    """Scores log 3 and 0: the first wins three times in four; rewards 0 and 0: log 2 either way."""
    t = dataclasses.replace(pair(0.0, 0.0)).replace(score_BK=torch.tensor([[math.log(3), 0.0]]).double())
    assert loss(ExpectedListMLE(), t).item() == pytest.approx(math.log(2))
    assert slopes(ExpectedListMLE(), t) == pytest.approx([-0.25, 0.25])  # 1/2 - 3/4


def test_it_is_least_at_the_scores():
    t = toy(rows=2, responses=4, ragged=False)
    at_scores = dataclasses.replace(t, reward_BK=t.batch.score_BK + torch.tensor([[0.3], [-1.2]]).double())
    leaf = at_scores.reward_BK.clone().requires_grad_()
    loss(ExpectedListMLE(), dataclasses.replace(t, reward_BK=leaf)).sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().max() < 1e-12


def test_long_lists_are_refused():
    t = toy(rows=1, responses=9, ragged=False)
    with pytest.raises(ValueError, match="at most 8 responses, got 9"):
        loss(ExpectedListMLE(), t)


def test_kit():
    assert failures(ExpectedListMLE(), "objective") == []
