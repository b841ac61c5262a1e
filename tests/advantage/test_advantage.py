"""Estimators against traces worked by hand, and each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.advantage.traces import TRACES, Trace
from xpo.advantage.gae import GAE
from xpo.advantage.group import Group
from xpo.advantage.leave_one_out import LeaveOneOut
from xpo.advantage.n_step import NStep
from xpo.advantage.returns import Returns
from xpo.testing import Check, Option, cases

LENGTHS = [[5, 2, 3], [1, 5, 0]]
MASK = torch.arange(5) < torch.tensor(LENGTHS)[..., None]


def drawn(seed: int) -> Tensor:
    return torch.randn(MASK.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def advantage(option: Any, mask: Tensor = MASK) -> Tensor:
    return option(drawn(0), drawn(1), mask).advantage_BKT


@pytest.mark.parametrize(("option", "check"), cases("advantage"))
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.name)
def test_by_hand(trace: Trace) -> None:
    assert not trace.wrong(trace.option)


def test_lambda_1_is_returns_minus_values() -> None:
    gae = GAE(gamma=0.9, lam=1.0, whiten=False)
    values = torch.where(MASK, drawn(1), 0.0)
    torch.testing.assert_close(advantage(gae), advantage(Returns(gamma=0.9)) - values)
    found = NStep(gamma=0.9)(drawn(0), drawn(1), MASK)
    torch.testing.assert_close(found.advantage_BKT, advantage(gae))
    torch.testing.assert_close(found.return_BKT, gae(drawn(0), drawn(1), MASK).return_BKT)
    torch.testing.assert_close(advantage(NStep(gamma=0.9, steps=5)), advantage(gae))


def test_lambda_0_is_one_step() -> None:
    torch.testing.assert_close(
        advantage(GAE(gamma=0.9, lam=0.0, whiten=False)), advantage(NStep(gamma=0.9, steps=1))
    )


def test_lambda_weighs_all_numbers_of_steps() -> None:
    """A_gae = (1 - lam) sum_n lam^(n-1) A_n, the rest of the weight on the whole return. Equation 16."""
    parts = [advantage(NStep(gamma=0.9, steps=n)) for n in range(1, 6)]
    mixed = sum(0.3 * 0.7 ** (n - 1) * part for n, part in enumerate(parts[:4], 1)) + 0.7**4 * parts[4]
    torch.testing.assert_close(mixed, advantage(GAE(gamma=0.9, lam=0.7, whiten=False)))


def test_leave_one_out_is_a_multiple_of_the_centred() -> None:
    full = torch.ones_like(MASK)
    torch.testing.assert_close(advantage(LeaveOneOut(), full), 3 / 2 * advantage(Group(scale="none"), full))


@pytest.mark.parametrize("option", [GAE(), NStep(whiten=True), Returns(whiten=True, baseline="group")])
def test_whitened_over_the_whole_rollout(option: Any) -> None:
    tokens = advantage(option)[MASK]
    assert tokens.mean().abs() < 1e-12
    assert tokens.var(correction=0).item() == pytest.approx(1, rel=1e-6)
    assert advantage(dataclasses.replace(option, whiten=False))[MASK].mean().abs() > 1e-3


def test_groups_scaled_alike_whatever_their_units() -> None:
    full = torch.ones_like(MASK)
    for scale in ("sample", "population"):
        option = Group(scale=scale, eps=0.0)
        one, other = (option(k * drawn(0) + c, None, full).advantage_BKT for k, c in ((1, 0), (50, 3)))
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_are_exactly_0(dtype: torch.dtype) -> None:
    reward = torch.full((2, 7, 1), 0.1, dtype=dtype)
    reward[1, 3] = 5  # not a tie
    for scale in ("sample", "population", "none"):
        found = Group(scale=scale)(reward, None, torch.ones_like(reward, dtype=torch.bool), 0 * reward)
        assert (found.advantage_BKT[0] == 0).all() and (found.advantage_BKT[1] != 0).all()
        assert found.advantage_BKT.dtype == dtype


def test_no_gradient_and_no_rollout() -> None:
    reward, value = drawn(0).requires_grad_(), drawn(1).requires_grad_()
    for option in (GAE(), NStep(), Returns(), Group(), LeaveOneOut()):
        assert not option(reward, value, MASK).advantage_BKT.requires_grad
        assert (option(reward, value, torch.zeros_like(MASK)).advantage_BKT == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GAE(gamma=1.1), "gamma must be at least 0 and at most 1, got 1.1"),
        (lambda: GAE(lam=-0.1), "lam must be at least 0 and at most 1, got -0.1"),
        (lambda: Returns(gamma=float("nan")), "gamma must be"),
        (lambda: NStep(steps=0), "steps must be null .* or at least 1, got 0"),
        (lambda: NStep(gamma=2), "gamma must be"),
        (lambda: Group(eps=-1), "eps must be null or at least 0"),
        (lambda: Group(scale="none", eps=1e-4), "scale=none has none"),
        (lambda: GAE()(drawn(0), None, MASK), "GAE needs value_BKT"),
        (lambda: LeaveOneOut()(drawn(0)[:, :1], None, MASK[:, :1]), "at least 2 of each, got 1"),
        (lambda: Returns(baseline="group")(drawn(0)[:, :1], None, MASK[:, :1]), "at least 2 of each"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
