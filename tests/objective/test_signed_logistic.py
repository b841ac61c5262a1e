"""Comparisons with signs: by hand, by their minimum in the gold world, and against broken ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from xpo.contracts import Context
from xpo.gold.rows import Wanted, population_rows
from xpo.gold.world import World
from xpo.objective.signed_logistic import SignedLogistic
from xpo.testing import failures
from xpo.testing.batches import toy


def pair(good: list[float], bad: list[float]) -> Any:
    batch = toy(rows=1, responses=2, ragged=False).batch
    return dataclasses.replace(
        batch,
        prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]),
        good_BK=torch.tensor([good]),
        bad_BK=torch.tensor([bad]),
    )


def loss(objective: Any, batch: Any, rewards: list[float]) -> float:
    return float(objective(torch.tensor([rewards]), batch, Context()))


def test_a_safe_and_an_unsafe_response_by_hand() -> None:
    """Costs -2 and 1, rewards 2 and -1: log(1 + e^-3) + log(1 + e^-2) + log(1 + e^-1)."""
    batch = pair([0.5, 0.0], [0.0, 0.5])
    expected = math.log1p(math.exp(-3)) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))
    assert loss(SignedLogistic(), batch, [2.0, -1.0]) == pytest.approx(expected, abs=1e-6)


def test_two_unsafe_ones_are_compared_and_both_cost() -> None:
    """The safer one at cost 0.5, the other at 3: each of the signs counts once with the weight 2."""
    batch = pair([0.0, 0.0], [0.5, 0.5])
    expected = math.log1p(math.exp(-2.5)) + math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-3))
    assert loss(SignedLogistic(), batch, [-0.5, -3.0]) == pytest.approx(expected, abs=1e-6)
    assert loss(SignedLogistic(1.0), batch, [-0.5, -3.0]) == pytest.approx(
        (expected + math.log1p(math.exp(-2.5))) / 2, abs=1e-6
    )


def test_on_the_whole_gold_world_the_minimum_is_the_reward_above_its_mean() -> None:
    """Labels are good with the odds of that, and comparisons have its differences: both are met at once."""
    world = World(2, 3, 2, 0)
    ref_logp_XN = world.base_logp_XN
    wanted = Wanted(frozenset({"comparisons", "labels"}), labels_from_pairs=False)
    rows = population_rows(world, ref_logp_XN, wanted)
    prefer, good, bad = (
        torch.stack([torch.as_tensor(getattr(row, name), dtype=torch.float64) for row in rows])
        for name in ("prefer", "good", "bad")
    )
    batch = toy(rows=2, responses=world.size, ragged=False).batch
    batch = dataclasses.replace(batch, prefer_BKK=prefer, good_BK=good, bad_BK=bad)
    found = torch.zeros(2, world.size, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], lr=1, max_iter=500, tolerance_grad=1e-10, tolerance_change=1e-14)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = SignedLogistic()(found, batch, Context()).sum()
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    mean_X1 = (ref_logp_XN.exp() * world.reward_XN).sum(1, keepdim=True)
    torch.testing.assert_close(found.detach(), world.reward_XN - mean_X1, atol=1e-3, rtol=0)


class UnsafeIsGood(SignedLogistic):
    """The sign of single responses turned round."""

    def __call__(self, reward_BK: Any, batch: Any, context: Any) -> Any:
        batch = dataclasses.replace(batch, good_BK=batch.bad_BK, bad_BK=batch.good_BK)
        return super().__call__(reward_BK, batch, context)


class OneSide(SignedLogistic):
    """What is bad is left out."""

    def __call__(self, reward_BK: Any, batch: Any, context: Any) -> Any:
        batch = dataclasses.replace(batch, bad_BK=torch.zeros_like(batch.bad_BK))
        return super().__call__(reward_BK, batch, context)


@pytest.mark.parametrize("broken", [UnsafeIsGood, OneSide])
def test_a_wrong_sign_is_noticed(broken: type[SignedLogistic]) -> None:
    right, wrong = SignedLogistic(), broken()
    batch = pair([0.5, 0.0], [0.0, 0.5])
    assert abs(loss(right, batch, [2.0, -1.0]) - loss(wrong, batch, [2.0, -1.0])) > 0.3


def test_the_kit_holds() -> None:
    assert failures(SignedLogistic(), "objective") == []


@pytest.mark.parametrize("weight", [0.0, -2.0, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="sign_weight must be above 0 and finite"):
        SignedLogistic(weight)
