"""Deliberately wrong estimators: a trace or the kit has to say so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.advantage.traces import TRACES
from xpo.advantage.base import Estimate, one_later, reward_to_go, whitened
from xpo.advantage.gae import GAE
from xpo.advantage.group import Group
from xpo.advantage.leave_one_out import LeaveOneOut
from xpo.advantage.n_step import NStep
from xpo.advantage.returns import Returns
from xpo.testing import checks_for, failures
from xpo.testing.checks_common import CHECKS as COMMON


class Backwards(GAE):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        assert value_BKT is not None
        surprise = reward_BKT + self.gamma * one_later(value_BKT) - value_BKT
        found = reward_to_go(surprise.flip(-1), self.gamma * self.lam).flip(-1)
        return Estimate(found, found + value_BKT)


class LooksPastTheEnd(GAE):
    """Takes what a critic says of padding for the value after the last token."""

    def __call__(self, reward_BKT: Any, value_BKT: Any, mask_BKT: Any, own_BKT: Any = None) -> Estimate:
        full = torch.ones_like(mask_BKT)
        found = super().__call__(reward_BKT, value_BKT, full, None)
        return Estimate(torch.where(mask_BKT, found.advantage_BKT, 0.0), found.return_BKT)


class LearnsTheAdvantage(GAE):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        found = super().estimate(reward_BKT, value_BKT, mask_BKT)
        return Estimate(found.advantage_BKT, found.advantage_BKT)


class WhitensPadding(GAE):
    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return whitened(advantage_BKT, torch.ones_like(mask_BKT)) if self.whiten else advantage_BKT


class WhitensWithoutOwn(GAE):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        found = super().estimate(reward_BKT, value_BKT, mask_BKT)
        return Estimate(super().scaled(found.advantage_BKT, reward_BKT, mask_BKT), found.return_BKT)

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return advantage_BKT


class OneStepMore(NStep):
    def _returns(self, reward_BKT: Tensor, value_BKT: Tensor) -> Tensor:
        more = None if self.steps is None else self.steps + 1
        return NStep._returns(NStep(self.gamma, more), reward_BKT, value_BKT)


class WholeReturn(Returns):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        return Estimate(reward_BKT.sum(-1, keepdim=True).expand_as(reward_BKT))


class AllOfOwn(Returns):
    def own(self, own_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return own_BKT


class LeavesNoneOut(LeaveOneOut):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        total = reward_BKT.sum(-1, keepdim=True)
        return Estimate((total - total.mean(1, keepdim=True)).expand_as(reward_BKT))


class CountsTheAbsent(Group):
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        total = reward_BKT.sum(-1, keepdim=True)
        return Estimate((total - total.mean(1, keepdim=True)).expand_as(reward_BKT))


class KeepsOwnUnits(Group):
    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return advantage_BKT


class TellsNoDiscount(GAE):
    def text(self, reward: str, value: str) -> str:
        return f"to_go({reward} - {value})"


BROKEN = [
    Backwards,
    LooksPastTheEnd,
    LearnsTheAdvantage,
    WhitensPadding,
    WhitensWithoutOwn,
    OneStepMore,
    WholeReturn,
    AllOfOwn,
    LeavesNoneOut,
    CountsTheAbsent,
    KeepsOwnUnits,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_wrong_estimators_are_caught(broken: type) -> None:
    mine = [trace for trace in TRACES if type(trace.option) is broken.__mro__[1]]
    wrong = [trace.name for trace in mine if trace.wrong(broken(**vars(trace.option)))]
    assert mine and wrong, f"no trace says anything against {broken.__name__}"


@pytest.mark.parametrize(
    "broken", [Backwards, LooksPastTheEnd, WholeReturn, CountsTheAbsent, TellsNoDiscount]
)
def test_the_kit_catches_wrong_estimators(broken: type) -> None:
    checks = [check for check in checks_for("advantage") if check not in COMMON]
    assert not failures(broken.__mro__[1](), "advantage", checks)
    assert failures(broken(), "advantage", checks)
