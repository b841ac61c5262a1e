"""The kit over every anchor, centred rewards by hand, and broken ones that the kit notices."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest
import torch

from xpo.anchor.centred import Centred
from xpo.testing import Check, Option, cases, failures
from xpo.testing.batches import toy


@pytest.mark.parametrize(("option", "check"), cases("anchor"))
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())


def test_centred_rewards_by_hand() -> None:
    """Rewards (2, 1) and (-1, -3), a pair each, row weights 1 and 3: (9 + 3 x 16) / 4."""
    batch = dataclasses.replace(
        toy(rows=2, responses=2, ragged=False).batch,
        prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]] * 2),
        weight_B=torch.tensor([1.0, 3.0]),
    )
    batch = dataclasses.replace(batch, totals=dataclasses.replace(batch.totals, rows=4.0))
    above, below = Centred()(batch, torch.tensor([[2.0, 1.0], [-1.0, -3.0]]), {})
    assert float(above) / below == 14.25


def test_the_least_is_where_pairs_are_opposite() -> None:
    """Its gradient moves both rewards of a pair alike, so that their difference stays."""
    batch = dataclasses.replace(
        toy(rows=1, responses=2, ragged=False).batch,
        prefer_BKK=torch.tensor([[[0.0, 0.8], [0.2, 0.0]]], dtype=torch.float64),
    )
    leaf = torch.tensor([[2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(Centred()(batch, leaf, {})[0], leaf)
    assert found[0, 0] == pytest.approx(float(found[0, 1])) and found[0, 0] > 0
    opposite = torch.tensor([[0.75, -0.75]], dtype=torch.float64)
    assert float(Centred()(batch, opposite, {})[0]) == 0.0


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_does_nothing_or_too_much_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight must be above 0 and finite"):
        Centred(weight)


class Apart(Centred):
    """Holds the gap in place of the level."""

    def __call__(self, batch: Any, reward_BK: Any, token: Any) -> Any:
        super().__call__(batch, reward_BK, token)  # raises where comparisons are missing
        reward_BK = reward_BK.masked_fill(~batch.present_BK, 0.0)
        gap_BKK = reward_BK[:, :, None] - reward_BK[:, None, :]
        return (batch.weight_B * (batch.prefer_BKK * gap_BKK**2).sum((1, 2))).sum(), batch.totals.rows


class Unmasked(Centred):
    """Reads responses that are not there."""

    def __call__(self, batch: Any, reward_BK: Any, token: Any) -> Any:
        level_B = (reward_BK[:, :, None] + reward_BK[:, None, :]).square().mean((1, 2))
        return (batch.weight_B * level_B).sum(), batch.totals.rows


class Unweighted(Centred):
    """Counts every row alike."""

    def __call__(self, batch: Any, reward_BK: Any, token: Any) -> Any:
        batch = dataclasses.replace(batch, weight_B=torch.ones_like(batch.weight_B))
        return super().__call__(batch, reward_BK, token)


class SaysItIsADifference(Centred):
    """Declares that the level of rewards does not matter."""

    difference: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Apart, "adding c(x) to the rewards changes nothing"),
        (Unmasked, "needs comparisons, but does without"),
        (Unmasked, "responses that are not there"),
        (Unweighted, "a filler counts"),
        (SaysItIsADifference, "difference=True"),
    ],
)
def test_a_broken_anchor_is_noticed(broken: type[Centred], said: str) -> None:
    assert any(said in failure for failure in failures(broken(), "anchor"))
