"""The contrast of bad tokens with rivals, alone and behind a gate: numbers by hand, loops, gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.objective.test_objective import pair
from tests.objective.test_token_level import by_pairs, tokens
from xpo.contracts import Context
from xpo.objective.token_contrast import GatedContrast, TokenContrast
from xpo.scoring.token_statistics import FORCED
from xpo.testing import Toy, toy
from xpo.testing.run_objective import context, loss


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def terms(t: Toy, b: int, k: int) -> tuple[list[float], list[float]]:
    """-log p of each token, and -log of the rival's share."""
    logp, rival = tokens(t, b, k, t.logp_BKT), tokens(t, b, k, t.token_BKT("rival"))
    share = [math.exp(r) / (math.exp(r) + math.exp(x)) for x, r in zip(logp, rival, strict=True)]
    return [-x for x in logp], [-math.log(s) for s in share]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("responses", [1, 2, 4])
def test_contrast_by_loop(seed: int, responses: int) -> None:
    t = toy(rows=3, responses=responses, seed=seed)
    good, bad = t.batch.good_BK, t.batch.bad_BK
    assert good is not None and bad is not None
    expected = []
    for b in range(3):
        row = 0.0
        for k in range(responses):
            if t.batch.mask_BKT[b, k].any():
                imitated, against = terms(t, b, k)
                row += float(good[b, k]) * sum(imitated) + 0.4 * float(bad[b, k]) * sum(against)
        expected.append(row)
    torch.testing.assert_close(loss(TokenContrast(0.4), t), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("responses", [1, 2, 4])
def test_gated_contrast_by_loop(seed: int, responses: int) -> None:
    t = toy(rows=3, responses=responses, seed=seed)

    def one(b: int, i: int, j: int) -> float:
        gate = 1 / (1 + math.exp(-(-1.5 - float(t.reward_BK[b, i] - t.reward_BK[b, j])) / 2.0))
        return gate * (mean(terms(t, b, i)[0]) + 0.4 * mean(terms(t, b, j)[1]))

    expected = torch.tensor([by_pairs(t, b, one) for b in range(3)], dtype=torch.float64)
    torch.testing.assert_close(loss(GatedContrast(0.4, 5, -1.5, 2.0), t), expected)


def contrasted(objective: Any, bad_logp: float, rival: float, reward: tuple[float, float] = (0.0, 0.0)):
    """A good response of two tokens at log p -1 and -2, a bad one of one token; the loss and d / d tokens."""
    t = pair(*reward)
    mask = torch.tensor([[[True, True], [True, False]]])
    t = t.replace(mask_BKT=mask)
    logp = torch.tensor([[[-1.0, -2.0], [bad_logp, 7.0]]], dtype=torch.float64, requires_grad=True)
    rivals = torch.tensor([[[-0.3, -0.4], [rival, 7.0]]], dtype=torch.float64, requires_grad=True)
    value = objective(t.reward_BK, t.batch, Context(logp_BKT=logp, token={"rival": rivals}))
    value.sum().backward()
    assert logp.grad is not None and rivals.grad is not None
    return value.item(), logp.grad[0].flatten().tolist(), rivals.grad[0].flatten().tolist()


def test_cringe_by_hand():
    """1 + 2 for the good tokens; a bad one of logits 1 apart has log(1 + e) = 1.313262."""
    value, of_logp, of_rival = contrasted(TokenContrast(0.5), bad_logp=-0.5, rival=-1.5)
    assert value == pytest.approx(3 + 0.5 * 1.3132617)
    assert of_logp == pytest.approx([-1, -1, 0.5 * 0.7310586, 0])  # sigmoid(1)
    assert of_rival == pytest.approx([0, 0, -0.5 * 0.7310586, 0])


def test_against_an_equal_rival_the_contrast_is_log_2_and_against_none_nothing():
    assert contrasted(TokenContrast(), -0.7, -0.7)[0] == pytest.approx(3 + math.log(2))
    value, of_logp, of_rival = contrasted(TokenContrast(), 0.0, FORCED)
    assert value == 3 and of_logp[2] == 0 and of_rival[2] == 0


def test_the_gate_is_half_shut_at_its_offset_and_shut_far_ahead():
    def value(ahead: float) -> float:
        return contrasted(GatedContrast(0.5, 5, -10.0, 10.0), -0.5, -1.5, (ahead, 0.0))[0]

    whole = 1.5 + 0.5 * 1.3132617  # means over tokens
    assert value(-10.0) == pytest.approx(whole / 2)
    assert value(0.0) == pytest.approx(whole * 0.2689414)  # sigmoid(-1)
    assert value(500.0) == pytest.approx(0, abs=1e-12)
    assert value(-500.0) == pytest.approx(whole)


def test_the_gate_pushes_rewards_apart():
    t = pair(0.0, 0.0)
    leaf = t.reward_BK.clone().requires_grad_()
    seen = context(GatedContrast(), t)
    value = GatedContrast(1.0, 5, 0.0, 2.0)(leaf, t.batch, seen)
    value.sum().backward()
    assert leaf.grad is not None
    # at the offset the gate is a half and falls by a quarter / temperature
    expected = -value.item() * 2 * 0.25 / 2.0
    assert leaf.grad[0].tolist() == pytest.approx([expected, -expected])
