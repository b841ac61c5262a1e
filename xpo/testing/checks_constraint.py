"""What a constraint must keep to."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import FEEDBACK
from xpo.testing.tools import differ, require, same

_FAR = 1e3  # units of cost beyond any limit


def _values(seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 4, generator=draw, dtype=torch.float64)


def _states(constraint: Any) -> list[Tensor]:
    """At the start, and after a rollout that cost too much and one that cost nothing."""
    start = constraint.start()
    costs = (torch.full((5,), _FAR), torch.full((5,), -_FAR))
    return [start, *(constraint.updated(start, cost) for cost in costs)]


def state_is_a_small_tensor(constraint: Any) -> None:
    for state in _states(constraint):
        require(
            state.dtype == torch.float64 and state.dim() == 1, f"the state is {state.dtype}, {state.dim()}-d"
        )
        require(bool(torch.isfinite(state).all()) and not state.requires_grad, "the state is not finite")
    start = constraint.start()
    before = start.clone()
    constraint.updated(start, torch.ones(3))
    require(torch.equal(start, before), "an update changes the state that it was given")


def multiplier_follows_the_cost(constraint: Any) -> None:
    if not constraint.applies:
        return
    start, dear, cheap = (float(constraint.multiplier(state)) for state in _states(constraint))
    require(start >= 0 and cheap >= 0, f"multipliers {start} and {cheap}: a price is 0 or more")
    require(cheap < start < dear, f"costs over and under the limit move {start} to {dear} and {cheap}")


def penalty_is_as_heavy_as_it_says(constraint: Any) -> None:
    """Streams that hold nothing but the penalty mix to its weight."""
    penalty_BKT = _values(0)
    rewards, costs = constraint.streams(penalty_BKT)
    for state in _states(constraint):
        weight = constraint.weight(state)
        same(constraint.mixed(rewards, costs, state), weight * penalty_BKT, "the penalty's weight is another")
        require(float(weight) > 0, f"the penalty weighs {float(weight)}")


def costs_are_read_where_it_applies(constraint: Any) -> None:
    require(constraint.needs <= FEEDBACK, f"needs={sorted(constraint.needs)} is not of {sorted(FEEDBACK)}")
    require(constraint.applies == bool(constraint.needs), f"applies={constraint.applies}, {constraint.needs}")
    state, gain_BKT, cost_BKT = constraint.start(), _values(1), _values(2)
    mixed = constraint.mixed(gain_BKT, cost_BKT, state)
    if not constraint.applies:
        same(mixed, gain_BKT, "it does not apply, but changes the advantages")
        require(not constraint.metrics(state), "it does not apply, but logs something")
        return
    differ(mixed, constraint.mixed(gain_BKT, -cost_BKT, state), "costs change nothing")
    lower = constraint.mixed(gain_BKT, cost_BKT + 1, state)
    require(bool((lower < mixed).all()), "what costs more is better")
    level = constraint.mixed(torch.zeros_like(gain_BKT), torch.full_like(gain_BKT, -_FAR), state)
    require(bool((level.abs() <= _FAR).all()), "mixed advantages are larger than what is mixed")
    require(all(map(math.isfinite, constraint.metrics(state).values())), "metrics are not finite")


CHECKS = (
    state_is_a_small_tensor,
    multiplier_follows_the_cost,
    penalty_is_as_heavy_as_it_says,
    costs_are_read_where_it_applies,
)
