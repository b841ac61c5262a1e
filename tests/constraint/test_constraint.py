"""The kit over every constraint, hand-worked updates, and variants that are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from xpo.constraint.base import Constraint
from xpo.constraint.lagrange import Lagrange
from xpo.testing import Check, Option, checks_for, failures, options


@pytest.mark.parametrize("option", options("constraint"), ids=str)
@pytest.mark.parametrize("check", checks_for("constraint"), ids=lambda check: check.__name__)
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())


@pytest.mark.parametrize("check", checks_for("constraint"), ids=lambda check: check.__name__)
def test_the_exact_form_conforms_too(check: Check) -> None:
    check(Lagrange(form="exact"))


def values(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


class TestUpdates:
    def test_one_step_by_hand(self) -> None:
        """lambda 2, costs 1, 0, 2 with mean 1, limit 0.4: log lambda moves by 0.1 x 0.6 x 2."""
        constraint = Lagrange(limit=0.4, init=2.0, window=8)
        state = constraint.updated(constraint.start(), values(1, 0, 2))
        assert float(constraint.multiplier(state)) == pytest.approx(2 * math.exp(0.12))
        assert constraint.metrics(state) == {
            "multiplier": pytest.approx(2.254994),
            "mean_cost": pytest.approx(1.0),
        }

    def test_the_gradient_is_that_of_the_published_loss(self) -> None:
        log = values(math.log(0.7)).requires_grad_()
        loss = -(0.9 - 0.25) * log.exp()
        loss.sum().backward()
        assert log.grad is not None
        constraint = Lagrange(limit=0.25, init=0.7, lr=0.3)
        state = constraint.updated(constraint.start(), values(0.9))
        assert float(state[0]) == pytest.approx(float(log.detach() - 0.3 * log.grad), abs=1e-12)

    def test_the_window_holds_the_newest(self) -> None:
        """Window 4: after 1 1 1 and 5 5 the mean is of 1 1 5 5, after 7 7 7 of 5 7 7 7."""
        constraint = Lagrange(window=4, lr=1e-9)
        state = constraint.updated(constraint.start(), values(1, 1, 1))
        assert constraint.metrics(state)["mean_cost"] == 1.0
        state = constraint.updated(state, values(5, 5))
        assert constraint.metrics(state)["mean_cost"] == 3.0
        state = constraint.updated(state, values(7, 7, 7))
        assert constraint.metrics(state)["mean_cost"] == 6.5

    def test_a_rollout_that_is_longer_than_the_window_counts_whole(self) -> None:
        """Its rows stand in the order of prompts: the last of them say nothing of the first."""
        constraint = Lagrange(limit=0.0, window=2, lr=0.1)
        state = constraint.updated(constraint.start(), values(4, 4, 0, 0))
        assert float(state[0]) == pytest.approx(0.2)

    def test_the_multiplier_has_a_largest_value(self) -> None:
        constraint = Lagrange(most=1.5)
        state = constraint.updated(constraint.start(), values(100))
        assert float(constraint.multiplier(state)) == pytest.approx(1.5)

    def test_a_state_survives_a_checkpoint(self) -> None:
        constraint = Lagrange(window=3)
        state = constraint.updated(constraint.start(), values(1, -2))
        again = constraint.updated(state.clone().float().double(), values(3))
        assert torch.allclose(again, constraint.updated(state, values(3)))

    @pytest.mark.parametrize("costs", [(), (1.0, math.nan), (math.inf,)])
    def test_costs_that_are_none_are_refused(self, costs: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="needs the costs of a rollout, all finite"):
            Lagrange().updated(Lagrange().start(), values(*costs))


def test_mixed_by_hand() -> None:
    """lambda 1: (2 - 1) / 2; lambda 3: (2 - 3) / 4."""
    for init, expected in ((1.0, 0.5), (3.0, -0.25)):
        constraint = Lagrange(init=init)
        found = constraint.mixed(torch.full((1, 1, 2), 2.0), torch.ones(1, 1, 2), constraint.start())
        assert found.tolist() == [[[pytest.approx(expected)] * 2]]


def test_nothing_has_a_gradient_through_the_multiplier() -> None:
    constraint = Lagrange()
    state = constraint.start().requires_grad_()
    assert not constraint.multiplier(state).requires_grad


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": math.inf}, "limit must be finite"),
        ({"lr": 0.0}, "lr must be above 0 and finite, got 0.0"),
        ({"most": -1.0}, "most must be above 0"),
        ({"init": 0.0}, "init must be above 0 and at most most=5.0, got 0.0"),
        ({"init": 6.0}, "init must be above 0 and at most most=5.0, got 6.0"),
        ({"window": 0}, "window must be at least 1"),
    ],
)
def test_ranges(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lagrange(**settings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class WrongSign(Lagrange):
    """The penalty lowers costs too."""

    def streams(self, penalty_BKT: Tensor) -> tuple[Tensor, Tensor]:
        return penalty_BKT, penalty_BKT


@dataclass(frozen=True)
class Undivided(Lagrange):
    """Not divided by 1 + lambda."""

    def mixed(self, advantage_BKT: Tensor, cost_advantage_BKT: Tensor | None, state: Tensor) -> Tensor:
        assert cost_advantage_BKT is not None
        return advantage_BKT - self.multiplier(state) * cost_advantage_BKT


@dataclass(frozen=True)
class Rewards(Lagrange):
    """A cost is a reward."""

    def mixed(self, advantage_BKT: Tensor, cost_advantage_BKT: Tensor | None, state: Tensor) -> Tensor:
        assert cost_advantage_BKT is not None
        return super().mixed(advantage_BKT, -cost_advantage_BKT, state)


@dataclass(frozen=True)
class Falls(Lagrange):
    """The multiplier goes down where costs are over the limit."""

    def updated(self, state: Tensor, cost_N: Tensor) -> Tensor:
        new = super().updated(state, cost_N)
        new[0] = 2 * state[0] - new[0]
        return new


@dataclass(frozen=True)
class InPlace(Lagrange):
    """Writes into the state of the last rollout."""

    def updated(self, state: Tensor, cost_N: Tensor) -> Tensor:
        return state.copy_(super().updated(state, cost_N))


@dataclass(frozen=True)
class Idle(Constraint):
    """Applies, and does nothing."""

    applies = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (WrongSign(), "penalty_is_as_heavy_as_it_says"),
        (Undivided(), "penalty_is_as_heavy_as_it_says"),
        (Undivided(form="exact"), "penalty_is_as_heavy_as_it_says"),
        (Rewards(), "costs_are_read_where_it_applies"),
        (Falls(), "multiplier_follows_the_cost"),
        (InPlace(), "state_is_a_small_tensor"),
        (Idle(), "costs_are_read_where_it_applies"),
    ],
    ids=repr,
)
def test_broken_ones_are_caught(broken: Constraint, caught: str) -> None:
    assert caught in [told.partition(":")[0] for told in failures(broken, "constraint")]
