"""Penalties by hand, the adaptive coefficient, and deliberately wrong ones."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.advantage.returns import Returns
from xpo.divergence.chi2 import Chi2
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.jeffreys import Jeffreys
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.penalty.loss import InLoss
from xpo.penalty.reward import InReward
from xpo.testing import Check, Option, cases, checks_for, failures
from xpo.testing.checks_common import CHECKS as COMMON

NAN = float("nan")


@pytest.mark.parametrize(("option", "check"), cases("penalty"))
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())


def ratios(*u: float) -> tuple[Tensor, Tensor]:
    """log u of one response, and where tokens are (u = NaN: none)."""
    log_u = torch.tensor([[u]], dtype=torch.float64).log()
    return log_u, ~log_u.isnan()


def close(found: Tensor, *expected: float) -> None:
    torch.testing.assert_close(found.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_reverse_kl_by_hand() -> None:
    log_u, mask = ratios(2, 0.5, NAN, 4, NAN)
    reward, own = InReward("token").terms(ReverseKL(), log_u, mask)
    close(reward, -log(2), log(2), 0, -log(4), 0)
    close(own, 0, 0, 0, 0, 0)
    reward, own = InReward("response").terms(ReverseKL(), log_u, mask)
    close(reward, 0, 0, 0, -log(4), 0)
    close(own, 0, 0, 0, 0, 0)


def test_forward_kl_by_hand() -> None:
    """f = u - 1 - log u, so f' = 1/2 and -1 at u = 2 and 1/2, f / u = (1 - log 2) / 2 and 2 log 2 - 1."""
    log_u, mask = ratios(NAN, 2, 0.5)
    reward, own = InReward("token").terms(ForwardKL(), log_u, mask)
    close(reward, 0, -(1 - log(2)) / 2, -(2 * log(2) - 1))
    close(own, 0, (1 - log(2)) / 2 - 0.5, 2 * log(2) - 1 + 1)
    weight = Returns()(reward, None, mask, own).advantage_BKT
    close(weight, 0, -0.5 - (2 * log(2) - 1), 1)
    log_u, mask = ratios(NAN, 2, 2)
    close(InReward("response").terms(ForwardKL(), log_u, mask)[0], 0, 0, -0.75)  # u(y) = 4


@pytest.mark.parametrize(
    ("estimator", "divergence", "value", "slope"),
    [
        ("k1", ReverseKL(), [log(2), -log(2)], [1, 1]),
        ("k2", ReverseKL(), [log(2) ** 2 / 2, log(2) ** 2 / 2], [log(2), -log(2)]),
        ("k3", ReverseKL(), [log(2) - 0.5, 1 - log(2)], [0.5, -1]),
        ("k3", ForwardKL(), [(1 - log(2)) / 2, 2 * log(2) - 1], [log(2) / 2, -2 * log(2)]),
        ("link", ReverseKL(), [log(2) ** 2, log(2) ** 2], [log(2), -log(2)]),
        ("link", ForwardKL(), [log(2) / 2, log(2)], [0.5, -1]),
    ],
)
def test_in_the_loss_by_hand(estimator: Any, divergence: Any, value: list[float], slope: list[float]) -> None:
    log_u, mask = ratios(NAN, 2, 0.5)
    log_u.requires_grad_()
    loss = InLoss(estimator).loss(divergence, log_u, mask)
    close(loss, 0, *value)
    close(torch.autograd.grad(loss.sum(), log_u)[0], 0, *slope)


@pytest.mark.parametrize(
    ("divergence", "other"),
    [
        (ReverseKL(), lambda u: u - 1 - u.log()),  # the forward KL's generator
        (Chi2(), lambda u: u.square() / 2 - u.log()),  # g' = 2 (u - 1) - (u - 1)^2 / u = u - 1 / u
        (Jeffreys(), lambda u: u - u.log() + u.log().square() / 2),  # g' = 1 + (log u - 1) / u
    ],
)
def test_the_estimate_has_the_gradient_of_another_divergence(divergence: Any, other: Any) -> None:
    """By enumeration: samples of the policy, and sum_y ref g(pi / ref)."""
    ref = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    logit = torch.tensor([0.2, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    logp = logit.log_softmax(-1)
    ratio = (logp - ref.log())[None, :, None]
    loss = InLoss("k3").loss(divergence, ratio, torch.ones_like(ratio).bool())
    (found,) = torch.autograd.grad((logp.exp().detach() * loss[0, :, 0]).sum(), logit, retain_graph=True)
    (true,) = torch.autograd.grad((ref * other(logp.exp() / ref)).sum(), logit)
    torch.testing.assert_close(found, true)
    assert float(found @ (logp.exp() - ref).detach()) > 0, "it pulls to the reference"


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_gradients_are_those_of_the_values(estimator: Any) -> None:
    log_u, mask = ratios(1.5, 0.3, 2)
    assert torch.autograd.gradcheck(
        lambda x: InLoss(estimator).loss(ReverseKL(), x, mask), log_u.requires_grad_()
    )


@pytest.mark.parametrize(
    ("observed", "responses", "expected"),
    [
        (9.0, 1000, 2.04),  # 50 % too far, of which 20 % count: 1 + 0.2 / 10
        (5.4, 1000, 1.98),
        (6.0, 1000, 2.0),
        (0.0, 5000, 1.8),
        (-3.0, 5000, 1.8),  # a mean of log-ratios may be negative
        (60.0, 99_999, 2.4),  # a rollout beyond the horizon
        (0.0, 99_999, 1.6),
    ],
)
def test_beta_follows_its_target(observed: float, responses: int, expected: float) -> None:
    assert InReward(target=6.0).adapted(2.0, observed, responses) == pytest.approx(expected, rel=1e-12)
    assert InReward().adapted(2.0, observed, responses) == 2.0


def test_a_shorter_horizon_is_faster() -> None:
    assert InReward(target=6.0, horizon=1000).adapted(2.0, 6.6, 500) == pytest.approx(2.1)


def test_beta_settles_where_the_divergence_is_the_target() -> None:
    """Of a policy whose divergence is 3 / beta."""
    penalty, scale = InReward(target=6.0, horizon=100), 1.0
    for _ in range(200):
        scale = penalty.adapted(scale, 3 / (0.1 * scale), 50)
    assert 3 / (0.1 * scale) == pytest.approx(6.0, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InReward(target=0.0), "target must be null or above 0"),
        (lambda: InReward(target=float("inf")), "target must be null or above 0"),
        (lambda: InReward(horizon=100), "target, which is null"),
        (lambda: InReward(target=1.0, horizon=0), "horizon must be null or at least 1, got 0"),
        (
            lambda: InLoss("k2").loss(JensenShannon(), *ratios(2)),
            "estimator=k2 .* is JensenShannon: estimator=link",
        ),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


class Rewards(InReward):
    def terms(self, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> tuple[Tensor, Tensor]:
        reward, own = super().terms(divergence, log_ratio_BKT, mask_BKT)
        return -reward, -own


class AtThePadding(InReward):
    def terms(self, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> tuple[Tensor, Tensor]:
        reward, own = super().terms(divergence, log_ratio_BKT, mask_BKT)
        return reward.roll(1, -1), own


class Unmasked(InLoss):
    def loss(self, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return super().loss(divergence, log_ratio_BKT, torch.ones_like(mask_BKT))


class Pushes(InLoss):
    def loss(self, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return -super().loss(divergence, log_ratio_BKT, mask_BKT)


class Attached(InReward):
    def terms(self, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> tuple[Tensor, Tensor]:
        reward, own = super().terms(divergence, log_ratio_BKT, mask_BKT)
        return reward - 0 * torch.where(mask_BKT, log_ratio_BKT, 0.0), own


@pytest.mark.parametrize("broken", [Rewards, AtThePadding, Unmasked, Pushes, Attached])
def test_the_kit_catches_wrong_penalties(broken: type) -> None:
    checks = [check for check in checks_for("penalty") if check not in COMMON]
    assert not failures(broken.__mro__[1](), "penalty", checks)
    assert failures(broken(), "penalty", checks)
