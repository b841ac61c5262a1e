"""Dr. DPO's soft minimum: by hand, its limits, its gradient against the whole formula's, broken variants."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from tests.stages.test_step_zero import composed
from xpo.arrow import OffPolicy, Scores, Steps
from xpo.compose import Refused, build, compose_config
from xpo.contracts import Batch, Step
from xpo.testing import toy
from xpo.weighting.log_mean_exp import LogMeanExp

LOSSES = [0.2, 1.5, 0.7]
WEIGHTS = [1.0, 2.0, 3.0]


def batch_of(weights: list[float]) -> Batch:
    return toy(rows=len(weights), responses=2).replace(weight_B=torch.tensor(weights).double()).batch


def whole(weighting: LogMeanExp, losses: Tensor, weights: list[float]) -> tuple[Tensor, Tensor]:
    """The step's objective, as rows and reduction make it, and the rows' values."""
    batch = batch_of(weights)
    step = Step(weighting.observe(losses, losses, batch, 0.1), batch.weight_B, batch.index_B)
    rows = weighting.losses(losses, batch, step)
    return (batch.weight_B * rows).sum() / batch.weight_B.sum(), rows


def by_hand(losses: Tensor, weights: list[float], t: float) -> Tensor:
    """The definition itself, differentiable."""
    weight = torch.tensor(weights, dtype=losses.dtype)
    return -t * ((weight * (-losses / t).exp()).sum() / weight.sum()).log()


def leaf(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_by_hand():
    """(e^-0.2 + 2 e^-1.5 + 3 e^-0.7) / 6 = 0.459123..., minus its log."""
    expected = -math.log((0.8187307531 + 2 * 0.2231301601 + 3 * 0.4965853038) / 6)
    found, _ = whole(LogMeanExp(), leaf(LOSSES), WEIGHTS)
    assert found.item() == pytest.approx(expected) == pytest.approx(0.7784339, abs=1e-6)


@pytest.mark.parametrize("t", [0.05, 0.5, 1.0, 30.0])
def test_value_and_gradient_are_those_of_the_formula(t: float) -> None:
    one, other = leaf(LOSSES), leaf(LOSSES)
    found, expected = whole(LogMeanExp(t), one, WEIGHTS)[0], by_hand(other, WEIGHTS, t)
    assert found.item() == pytest.approx(expected.item())
    found.backward()
    expected.backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_its_limits_are_mean_and_minimum():
    mean = sum(w * x for w, x in zip(WEIGHTS, LOSSES, strict=True)) / 6
    assert whole(LogMeanExp(1e6), leaf(LOSSES), WEIGHTS)[0].item() == pytest.approx(mean, abs=1e-6)
    assert whole(LogMeanExp(1e-4), leaf(LOSSES), WEIGHTS)[0].item() == pytest.approx(0.2, abs=1e-3)


def test_large_losses_and_fillers_stay_finite():
    losses = torch.tensor([900.0, 1200.0, -4000.0], requires_grad=True)
    found, rows = whole(LogMeanExp(0.5), losses, [1.0, 1.0, 0.0])  # the last is a filler
    found.backward()
    assert found.item() == pytest.approx(900.0 + 0.5 * math.log(2))
    assert torch.isfinite(rows).all() and losses.grad is not None
    assert losses.grad.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)


def test_the_whole_preset_at_the_reference():
    composition = composed("algo=dr_dpo", "weighting.temperature=0.3")
    arrow = OffPolicy.of(composition, composition.reference.given)
    t = toy(rows=3, responses=2)
    t = t.replace(totals=dataclasses.replace(t.batch.totals, rows=float(t.batch.weight_B.sum())))
    scores = Scores(t.logp_BKT, t.logp_BKT)
    step = Step(arrow.weighed(t.batch, scores, None), t.batch.weight_B, t.batch.index_B)
    assert arrow(t.batch, scores, Steps(None, step)).share.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_ranges(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0 and finite"):
        LogMeanExp(temperature)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["algo=dr_dpo", "data.mode=population"], "weighs rows of drawn responses"),
        (["algo=sft", "weighting=log_mean_exp", "data=jsonl", "data.path=unread.jsonl"], "by tokens"),
    ],
)
def test_combinations_without_meaning(overrides: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides))


def test_any_loss_of_rows_may_be_weighed():
    for overrides in (["algo=kto", "data.mode=sampled"], ["algo=ipo", "data.mode=sampled"], ["algo=lipo"]):
        build(compose_config([*overrides, "weighting=log_mean_exp"]))


# --- broken variants ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class HardestFirst(LogMeanExp):
    """The sign: the highest losses count most."""

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        assert step is not None
        return -super().losses(-loss_B, batch, dataclasses.replace(step, values_NF=-step.values_NF))


@dataclasses.dataclass(frozen=True)
class PlainGradient(LogMeanExp):
    """The value is right, the gradient is the mean's."""

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        return super().losses(loss_B.detach(), batch, step) + loss_B - loss_B.detach()


@dataclasses.dataclass(frozen=True)
class Unweighted(LogMeanExp):
    """Rows count alike."""

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        assert step is not None
        return super().losses(
            loss_B, batch, dataclasses.replace(step, weight_N=torch.ones_like(step.weight_N))
        )


@dataclasses.dataclass(frozen=True)
class SumForMean(LogMeanExp):
    """Without the division by the number of rows."""

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        assert step is not None
        return super().losses(loss_B, batch, step) - self.temperature * step.weight_N.sum().log()


@pytest.mark.parametrize("broken", [HardestFirst(), PlainGradient(), Unweighted(), SumForMean()], ids=repr)
def test_mistakes_are_told_from_the_formula(broken: LogMeanExp) -> None:
    one, other = leaf(LOSSES), leaf(LOSSES)
    found, expected = whole(broken, one, WEIGHTS)[0], by_hand(other, WEIGHTS, 1.0)
    found.backward()
    expected.backward()
    agrees = torch.allclose(found, expected) and torch.allclose(one.grad, other.grad)  # type: ignore[arg-type]
    assert not agrees
