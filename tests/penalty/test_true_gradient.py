"""Every penalty's expected gradient is that of its own target, by enumeration of all responses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.penalty import tabular
from tests.penalty.tabular import MASK, cosine, log_ratio, logits, of_responses, of_states, token_logp
from xpo.advantage.gae import GAE
from xpo.advantage.group import Group
from xpo.advantage.leave_one_out import LeaveOneOut
from xpo.advantage.returns import Returns
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.hellinger import Hellinger
from xpo.divergence.jeffreys import Jeffreys
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.penalty.loss import InLoss
from xpo.penalty.reward import InReward
from xpo.testing import options

DIVERGENCES = [
    pytest.param(made, id=option.path.stem)
    for option in options("divergence")
    if (made := option.make()).regularises
]
SEEDS = [(0, 1), (2, 3), (4, 5)]
TARGETS = {"response": of_responses, "token": of_states}


def theta_and_reference(seeds: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return logits(seeds[0]).requires_grad_(), logits(seeds[1])


def weights(penalty: InReward, divergence: Any, ratio_NT: Tensor, estimator: Any) -> Tensor:
    reward, own = penalty.terms(divergence, ratio_NT[None], MASK[None])
    return estimator(reward, torch.zeros_like(reward), MASK[None], own).advantage_BKT[0]


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("form", ["response", "token"])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_in_reward(divergence: Any, form: Any, seeds: tuple[int, int]) -> None:
    theta, reference = theta_and_reference(seeds)
    weight_NT = weights(InReward(form), divergence, log_ratio(theta, reference), Returns())
    found = tabular.score_function(theta, weight_NT)
    target = TARGETS[form](theta, reference, divergence)
    assert cosine(found, target) > 0.99
    torch.testing.assert_close(found, target, rtol=1e-9, atol=1e-9)


def test_the_two_targets_are_two() -> None:
    """They agree for reverse KL alone: its chain rule."""
    theta, reference = theta_and_reference((0, 1))
    for divergence, same in ((ReverseKL(), True), (JensenShannon(), False), (ForwardKL(), False)):
        one, other = (target(theta, reference, divergence) for target in TARGETS.values())
        assert torch.allclose(one, other, rtol=1e-9) == same


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("divergence", [ForwardKL(), JensenShannon(), Hellinger(), Jeffreys()])
def test_the_value_as_a_number_is_no_penalty(divergence: Any, seeds: tuple[int, int]) -> None:
    """-f(u)/u in the reward, the estimate of what is to be made small: it does not get smaller."""
    theta, reference = theta_and_reference(seeds)
    ratio_NT = log_ratio(theta, reference)
    whole_NT = -divergence.value(ratio_NT.sum(1, keepdim=True)).expand_as(ratio_NT)
    to_go_NT = (-divergence.value(ratio_NT) * MASK).flip(1).cumsum(1).flip(1)
    for weight_NT, target in ((whole_NT, of_responses), (to_go_NT, of_states)):
        found = tabular.score_function(theta, weight_NT)
        assert cosine(found, target(theta, reference, divergence)) < 0.9


@pytest.mark.parametrize("form", ["response", "token"])
@pytest.mark.parametrize(
    ("estimator", "share"),
    [
        (GAE(lam=1.0, whiten=False), 1.0),
        (LeaveOneOut(), 1.0),
        (Returns(baseline="leave_one_out"), 1.0),
        (Returns(baseline="group"), 0.5),  # of two samples: half of a sample's reward is in its baseline
        (Group(scale="none"), 0.5),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{vars(value)['baseline']}" if hasattr(value, "baseline") else None
    ),
)
def test_estimators_keep_the_direction(estimator: Any, share: float, form: Any) -> None:
    """All pairs of responses as the two samples of a prompt: rewards and what tokens own, in proportion."""
    theta, reference = theta_and_reference((0, 1))
    divergence, count = JensenShannon(), len(MASK)
    index_BK = torch.cartesian_prod(torch.arange(count), torch.arange(count))
    mask_BKT, ratio_BKT = MASK[index_BK], log_ratio(theta, reference)[index_BK]
    reward, own = InReward(form).terms(divergence, ratio_BKT, mask_BKT)
    advantage = estimator(reward, torch.zeros_like(reward), mask_BKT, own).advantage_BKT
    logp_BKT = token_logp(theta)[index_BK]
    mass_B = logp_BKT.detach().sum((1, 2)).exp()
    expected = (mass_B[:, None, None] * advantage * logp_BKT).sum() / 2
    found = torch.autograd.grad(expected, theta)[0]
    target = share * TARGETS[form](theta, reference, divergence)
    torch.testing.assert_close(found, target, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_link_in_the_loss(divergence: Any, seeds: tuple[int, int]) -> None:
    theta, reference = theta_and_reference(seeds)
    found = tabular.loss_gradient(theta, reference, InLoss("link"), divergence)
    target = -of_states(theta, reference, divergence, fixed=True)
    torch.testing.assert_close(found, target, rtol=1e-9, atol=1e-9)


def test_k1_k2_and_k3_in_the_loss() -> None:
    theta, reference = theta_and_reference((0, 1))
    k1, k2, k3 = (
        tabular.loss_gradient(theta, reference, InLoss(name), ReverseKL()) for name in ("k1", "k2", "k3")
    )
    assert k1.abs().max() < 1e-12
    torch.testing.assert_close(k2, -of_states(theta, reference, ReverseKL(), fixed=True))
    torch.testing.assert_close(k3, -of_states(theta, reference, ForwardKL(), fixed=True))
    assert cosine(k2, k3) < 0.99
