"""Curves of the gap: by hand, by a loop over plain numbers, their slopes, limits and minimisers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.explain.formula_rows import trained_and_written
from tests.objective.oracles import softplus
from tests.objective.test_objective import by_loop, loss, pair, slopes
from tests.test_arrow import arrow, one_pair
from tests.test_arrow import loss as arrow_loss
from xpo.contracts import Batch, Context
from xpo.label_noise.flips import Flips
from xpo.objective.clipped_logistic import ClippedLogistic
from xpo.objective.exponential import Exponential
from xpo.objective.logistic import Logistic
from xpo.objective.quadratic import Quadratic
from xpo.objective.savage import Savage
from xpo.objective.squared import Squared
from xpo.objective.truncated_quadratic import TruncatedQuadratic
from xpo.reward.implicit import Implicit
from xpo.testing import failures, toy

Curve = Callable[[float], float]


def clipped(bound: float) -> Curve:
    return lambda gap: softplus(-min(bound, max(-bound, gap)))


CURVES: list[tuple[Any, Curve]] = [
    (Exponential(), lambda gap: 1 / math.exp(gap)),
    (Savage(), lambda gap: 1 / (1 + math.exp(gap)) ** 2),
    (Quadratic(), lambda gap: gap * gap - 2 * gap + 1),
    (TruncatedQuadratic(), lambda gap: gap * gap - 2 * gap + 1 if gap < 1 else 0.0),
    (ClippedLogistic(), clipped(10.0)),
    (ClippedLogistic(bound=0.7), clipped(0.7)),
]
IDS = [repr(objective) for objective, _ in CURVES]


def over_pairs(curve: Curve, margin: float = 0.0) -> Callable[[list[float], dict[str, Any]], float]:
    def oracle(rewards: list[float], row: dict[str, Any]) -> float:
        return sum(
            row["prefer"][i][j] * curve(a - b - margin)
            for i, a in enumerate(rewards)
            for j, b in enumerate(rewards)
        )

    return oracle


@pytest.mark.parametrize(("objective", "curve"), CURVES, ids=IDS)
@pytest.mark.parametrize("responses", [1, 2, 4])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_loop_oracle(objective: Any, curve: Curve, responses: int, margin: float) -> None:
    t = toy(rows=3, responses=responses)
    expected = by_loop(over_pairs(curve, margin), t)
    torch.testing.assert_close(loss(objective, t, margin), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("objective", [objective for objective, _ in CURVES], ids=IDS)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


@pytest.mark.parametrize(
    ("objective", "gap", "expected"),
    [
        (Exponential(), 0.5, 0.6065306597126334),
        (Savage(), 0.5, 0.14253695659655094),
        (Quadratic(), 3.0, 4.0),
        (TruncatedQuadratic(), 3.0, 0.0),
        (TruncatedQuadratic(), -2.0, 9.0),
        (ClippedLogistic(2.0), 3.0, 0.12692801104297263),  # log(1 + e^-2)
        (ClippedLogistic(2.0), -3.0, 2.1269280110429727),
    ],
)
def test_by_hand(objective: Any, gap: float, expected: float) -> None:
    assert loss(objective, pair(gap + 0.1, 0.1)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("objective", "value", "slope"),
    [
        (Exponential(), 1.0, 1.0),
        (Savage(), 0.25, 0.25),
        (Quadratic(), 1.0, 2.0),
        (TruncatedQuadratic(), 1.0, 2.0),
        (ClippedLogistic(), math.log(2), 0.5),
    ],
)
def test_where_the_policy_is_the_reference(objective: Any, value: float, slope: float) -> None:
    """f(0) and f'(0): a given beta is as strong as the curvature beside them."""
    at_reference = pair(0.0, 0.0)
    assert loss(objective, at_reference).item() == pytest.approx(value)
    assert slopes(objective, at_reference) == pytest.approx([-slope, slope])
    t = dataclasses.replace(one_pair(), ref_logp_BKT=one_pair().logp_BKT)
    assert arrow_loss(arrow(objective=objective), t) == pytest.approx(value)


@pytest.mark.parametrize("beta", [0.1, 0.7])
def test_the_quadratic_is_beta_squared_times_ipo(beta: float) -> None:
    t = toy(rows=3)
    ipo = arrow(objective=Squared(tau=beta / 2), reward=Implicit(1.0))
    gpo = arrow(objective=Quadratic(), reward=Implicit(beta))
    assert arrow_loss(gpo, t) == pytest.approx(beta**2 * arrow_loss(ipo, t), rel=1e-12)


def test_a_bound_out_of_reach_clips_nothing():
    t = toy()
    assert torch.equal(loss(ClippedLogistic(1e6), t), loss(Logistic(), t))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gap", [-1e4, -90.0, -40.0, 90.0, 1e4])
def test_far_gaps_are_finite(gap: float, dtype: torch.dtype) -> None:
    t = pair(gap, 0.0).to(dtype)
    for objective, _ in CURVES:
        leaf = t.reward_BK.clone().requires_grad_()
        value = objective(leaf, t.batch, Context())
        value.sum().backward()
        assert leaf.grad is not None
        assert torch.isfinite(value).all() and torch.isfinite(leaf.grad).all(), objective
        assert leaf.grad[0, 0] <= 0 or isinstance(objective, Quadratic), objective
    if gap < 0:
        assert slopes(Exponential(), t)[0] <= -2e17, "the exponential is flat where it is steepest"


def test_which_curves_let_go_of_outliers():
    """Savage's slope vanishes on both sides, the truncated one's beyond its target, the clipped one's too."""
    far_wrong, far_right = pair(-30.0, 0.0), pair(30.0, 0.0)
    assert 0 > slopes(Savage(), far_wrong)[0] > -1e-12 and 0 <= loss(Savage(), far_wrong).item() <= 1
    assert slopes(TruncatedQuadratic(), far_right) == [0.0, 0.0]
    assert slopes(Quadratic(), far_right)[0] == pytest.approx(58.0)  # and pulls back
    assert slopes(ClippedLogistic(), far_wrong) == slopes(ClippedLogistic(), far_right) == [0.0, 0.0]
    assert slopes(ClippedLogistic(), pair(-9.0, 0.0))[0] == pytest.approx(-0.9998766054240137)


def test_the_difference_is_clipped_and_not_each_side():
    """Rewards of 14 and 9 under a bound of 10: the gap is 5, each side clipped would leave 1."""
    assert loss(ClippedLogistic(), pair(14.0, 9.0)).item() == pytest.approx(softplus(-5.0))


def test_the_clipped_share_by_hand():
    """Two pairs of weight 1 and 3, gaps 12 and 1: a quarter is clipped; a margin of 3 moves the gap to 9."""
    t = toy(rows=2, responses=2, ragged=False)
    t = t.replace(
        weight_B=torch.tensor([1.0, 3.0]).double(),
        prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]).double().repeat(2, 1, 1),
    )
    reward = torch.tensor([[12.0, 0.0], [1.0, 0.0]]).double()

    def share(batch: Batch, margin: float = 0.0) -> float:
        above, below = ClippedLogistic().metrics(reward, batch, Context(margin))["gap/clipped"]
        return (above / below).item()

    assert share(t.batch) == 0.25
    assert share(Flips(0.1)(t.batch)) == 0.25
    assert share(t.batch, margin=3.0) == 0.0
    ragged = toy().replace(weight_B=torch.ones(4).double())
    absent = ragged.reward_BK.masked_fill(~ragged.batch.present_BK, torch.nan)
    above, _ = ClippedLogistic(0.01).metrics(absent, ragged.batch, Context())["gap/clipped"]
    assert torch.isfinite(above)


class Squarer(Savage):
    """Forgets the square."""

    def curve(self, gap: Tensor) -> Tensor:
        return (-gap).sigmoid()


class Doubled(Exponential):
    """Another temperature."""

    def curve(self, gap: Tensor) -> Tensor:
        return (-2 * gap).exp()


class Untruncated(TruncatedQuadratic):
    """Pulls back from beyond the target."""

    def curve(self, gap: Tensor) -> Tensor:
        return (1 - gap).square()


class HalfClipped(ClippedLogistic):
    """Clips one side only."""

    def curve(self, gap: Tensor) -> Tensor:
        return -torch.nn.functional.logsigmoid(gap.clamp(max=self.bound))


@pytest.mark.parametrize(
    ("broken", "original"),
    [
        (Squarer(), Savage()),
        (Doubled(), Exponential()),
        (Untruncated(), TruncatedQuadratic()),
        (HalfClipped(0.7), ClippedLogistic(0.7)),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_the_oracle_tells_wrong_constants(broken: Any, original: Any) -> None:
    curve = next(curve for known, curve in CURVES if known == original)
    t = toy(rows=3)
    expected = by_loop(over_pairs(curve), t)
    torch.testing.assert_close(loss(original, t), expected)
    assert not torch.allclose(loss(broken, t), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "overrides",
    [
        "objective=exponential",
        "objective=savage",
        "objective=quadratic",
        "objective=truncated_quadratic reward.beta=3",
        "objective=clipped_logistic objective.bound=0.02",
        "objective=exponential label_noise=flips margin=constant margin.gamma=0.3 arity=list",
    ],
)
def test_the_text_evaluates_to_the_trained_loss(overrides: str) -> None:
    trained, written, _ = trained_and_written(["algo=dpo", *overrides.split()])
    assert written == pytest.approx(trained, rel=1e-9)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.inf, math.nan])
def test_ranges(bound: float) -> None:
    with pytest.raises(ValueError, match="bound must be above 0 and finite, got"):
        ClippedLogistic(bound)
