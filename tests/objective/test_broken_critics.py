"""Broken variants of objectives that read a critic: a loop, a gradient by hand or the kit catches each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective import test_critics as right
from tests.objective.test_critics import Oracle, implicit_q, loss, regression
from tests.test_mutations import caught, mutant, original
from xpo.contracts import Batch, Context, no_gradient
from xpo.objective.implicit_q import ImplicitQ
from xpo.objective.value_regression import ValueRegression
from xpo.testing import Toy, toy


def _unscaled(self: Any, reward_BK: Tensor, batch: Batch, given: Context) -> Tensor:
    return original(self, reward_BK, batch, dataclasses.replace(given, beta=1.0))


def _frozen_value(self: Any, reward_BK: Tensor, batch: Batch, given: Context) -> Tensor:
    held = {name: no_gradient(value) for name, value in given.value.items()}
    return original(self, reward_BK, batch, dataclasses.replace(given, value=held))


def _value_of_the_wrong_sign(self: Any, reward_BK: Tensor, batch: Batch, given: Context) -> Tensor:
    turned = {name: -value for name, value in given.value.items()}
    return original(self, reward_BK, batch, dataclasses.replace(given, value=turned))


def _all_responses_alike(self: Any, reward_BK: Tensor, batch: Batch, given: Context) -> Tensor:
    return original(self, reward_BK, dataclasses.replace(batch, mass_BK=None), given)


def _reward_everywhere(self: Any, batch: Batch, value_BKT: Tensor) -> Tensor:
    target = ImplicitQ.target(self, batch, value_BKT)
    assert batch.score_BK is not None
    return torch.where(target == batch.score_BK[..., None], target, target + batch.score_BK[..., None])


def _value_of_this_state(self: Any, batch: Batch, value_BKT: Tensor) -> Tensor:
    return ImplicitQ.target(self, batch, value_BKT.roll(1, -1))


def _value_beyond_the_end(self: Any, batch: Batch, value_BKT: Tensor) -> Tensor:
    return ImplicitQ.target(self, batch, value_BKT) + self.gamma * value_BKT


def differs(broken: Any, oracle: Oracle, t: Toy) -> bool:
    by_loop = torch.tensor([oracle(t, b) for b in range(3)], dtype=torch.float64)
    return not torch.allclose(loss(broken, t), by_loop, rtol=1e-9)


@pytest.mark.parametrize("call", [_unscaled, _value_of_the_wrong_sign, _all_responses_alike])
def test_oracles_or_kit_catch_a_broken_regression(call: Any) -> None:
    t = toy(rows=3)
    assert not differs(mutant(ValueRegression(), original), regression, t)
    broken = mutant(ValueRegression(), call)
    assert differs(broken, regression, t) or caught(broken, "objective") != []


@pytest.mark.parametrize("objective", [ValueRegression(), ImplicitQ()], ids=repr)
def test_the_kit_catches_a_critic_that_learns_nothing(objective: Any) -> None:
    assert any(
        "higher_scores_raise_values" in said for said in caught(mutant(objective, _frozen_value), "objective")
    )


@pytest.mark.parametrize("target", [_reward_everywhere, _value_of_this_state, _value_beyond_the_end])
def test_the_oracle_catches_a_broken_target(target: Any) -> None:
    t, o = toy(rows=3), ImplicitQ()
    broken = mutant(o, original, target=target)
    assert differs(broken, lambda t, b: implicit_q(o, t, b), t)


def test_the_gradient_by_hand_catches_a_target_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpo.objective.implicit_q.no_gradient", lambda tensor: tensor)
    with pytest.raises(AssertionError):
        right.test_implicit_q_by_hand()
    with pytest.raises(AssertionError):
        right.test_imitation_is_weighed_by_the_advantage_without_its_gradient()


def test_the_gradient_by_hand_catches_stops_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpo.objective.value_regression.no_gradient", lambda tensor: tensor)
    with pytest.raises(AssertionError):
        right.test_gradients_of_regression_by_hand()
