"""The classifier of good and bad responses: hand numbers, its own metrics, and broken ones."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from xpo.contracts import Context
from xpo.objective.cross_entropy import CrossEntropy
from xpo.testing import failures, toy


def test_by_hand():
    """sigmoid(log 3) = 3/4: a good one costs log 4/3, a bad one log 4; absent responses nothing."""
    t = toy(rows=2, responses=2, ragged=False)
    t = t.replace(
        good_BK=torch.tensor([[0.5, 0.0], [0.25, 0.25]]), bad_BK=torch.tensor([[0.0, 0.5], [0.25, 0.25]])
    )
    reward_BK = math.log(3) * torch.ones(2, 2, dtype=torch.float64)
    found = CrossEntropy()(reward_BK, t.batch, Context())
    half = (math.log(4 / 3) + math.log(4)) / 2
    assert found.tolist() == pytest.approx([half, half])


def test_the_least_loss_is_where_the_odds_are_those_of_the_labels():
    t = toy(rows=1, responses=1)
    t = t.replace(good_BK=torch.tensor([[0.8]]), bad_BK=torch.tensor([[0.2]]))
    leaf = torch.tensor([[math.log(4)]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(CrossEntropy()(leaf, t.batch, Context()).sum(), leaf)
    assert slope.item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("reward", [-1e4, 1e4])
def test_far_out_it_is_a_line(reward: float):
    t = toy(rows=1, responses=1)
    t = t.replace(good_BK=torch.tensor([[1.0]]), bad_BK=torch.tensor([[0.0]]))
    found = CrossEntropy()(torch.tensor([[reward]]), t.batch, Context()).item()
    assert found == pytest.approx(max(-reward, 0))


def test_what_is_right_is_counted():
    t = toy(rows=1, responses=3, ragged=False)
    good, bad = torch.tensor([[0.25, 0.25, 0.125]]), torch.tensor([[0.0, 0.25, 0.125]])
    t = t.replace(good_BK=good, bad_BK=bad, weight_B=torch.tensor([4.0]))
    found = CrossEntropy().metrics(torch.tensor([[2.0, -1.0, 3.0]]), t.batch, Context())
    share = {name: float(above / below) for name, (above, below) in found.items()}
    assert share == pytest.approx({"accuracy": 0.625, "share_good": 0.625})
    assert float(found["accuracy"][1]) == 4


@dataclasses.dataclass(frozen=True)
class Swapped(CrossEntropy):
    """What is good costs as if it were bad."""

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return super().disliked(reward_BK, context)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return super().liked(reward_BK, context)


@dataclasses.dataclass(frozen=True)
class Doubled(CrossEntropy):
    """The factor 2 of a pair's two sides, which single labels do not have."""

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return 2 * super().liked(reward_BK, context)


@pytest.mark.parametrize("broken", [Swapped(), Doubled()], ids=repr)
def test_broken_ones_are_caught(broken: CrossEntropy):
    with pytest.raises(AssertionError):
        _same_as_by_hand(broken)


def test_a_sign_is_caught_by_the_kit():
    assert not failures(CrossEntropy(), "objective")
    assert failures(Swapped(), "objective")


def _same_as_by_hand(objective: CrossEntropy) -> None:
    t = toy(rows=1, responses=1)
    t = t.replace(good_BK=torch.tensor([[1.0]]), bad_BK=torch.tensor([[0.0]]))
    found = objective(torch.tensor([[math.log(3)]], dtype=torch.float64), t.batch, Context()).item()
    assert found == pytest.approx(math.log(4 / 3))
