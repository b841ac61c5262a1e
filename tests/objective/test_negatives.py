"""Losses of bad responses (NPO, D2O, unlikelihood): by hand, and through the presets."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from tests.objective.test_beyond_gaps import slopes, value
from tests.objective.test_objective import pair
from tests.stages.test_step_zero import composed
from xpo.arrow import OffPolicy, Scores
from xpo.contracts import StepTotals
from xpo.objective.group_contrast import GroupContrast
from xpo.objective.logistic import Logistic
from xpo.objective.response_logistic import ResponseLogistic
from xpo.objective.unlikelihood import Unlikelihood
from xpo.polarity.negative import Negative
from xpo.testing import Toy, toy

NEGATIVE = Negative().roles


def one_bad(reward: float) -> Toy:
    t = toy(rows=1, responses=1, ragged=False)
    ones = torch.ones(1, 1, dtype=torch.float64)
    return dataclasses.replace(t.replace(good_BK=0 * ones, bad_BK=ones), reward_BK=reward * ones)


def listed(rewards: list[float], good: list[float]) -> Toy:
    """One row; who is not good is bad."""
    t = toy(rows=1, responses=len(rewards), ragged=False)
    mass = torch.tensor([good], dtype=torch.float64) / len(good)
    t = t.replace(good_BK=mass, bad_BK=1 / len(good) - mass)
    return dataclasses.replace(t, reward_BK=torch.tensor([rewards], dtype=torch.float64))


# --- NPO -------------------------------------------------------------------------------------------------


def test_npo_by_hand():
    t = one_bad(0.2)  # 2 / 0.1 log(1 + e^0.2)
    assert value(ResponseLogistic(), t, beta=0.1, roles=NEGATIVE).item() == pytest.approx(15.962778, abs=1e-6)
    at_reference = value(ResponseLogistic(), one_bad(0.0), beta=0.1, roles=NEGATIVE)
    assert at_reference.item() == pytest.approx(13.8629436)


@pytest.mark.parametrize("beta", [0.01, 0.1, 3.0])
def test_npo_pushes_by_one_nat_per_nat_at_the_reference(beta: float) -> None:
    found = slopes(ResponseLogistic(), one_bad(0.0), beta=beta, roles=NEGATIVE)
    assert beta * found[0] == pytest.approx(1.0)  # reward = beta times the log-ratio


def test_npo_is_gradient_ascent_for_small_beta():
    ratio, beta = -3.0, 1e-7
    found = value(ResponseLogistic(), one_bad(beta * ratio), beta=beta, roles=NEGATIVE).item()
    assert found - 2 / beta * math.log(2) == pytest.approx(ratio, abs=1e-4)


def test_good_responses_are_a_constant_for_negative_polarity():
    t = pair(0.8, 0.5)
    assert slopes(ResponseLogistic(), t, roles=NEGATIVE)[0] == 0.0
    found = value(ResponseLogistic(), t, beta=0.5, roles=NEGATIVE).item()
    assert found == pytest.approx(4 * (math.log(2) + math.log(1 + math.exp(0.5))))
    assert slopes(ResponseLogistic(), t)[0] < 0  # with both, good ones are raised


def test_npo_is_two_over_beta_times_dpo_with_negative_polarity():
    dpo = value(Logistic(), pair(0.8, 0.5), roles=NEGATIVE).item()
    assert value(ResponseLogistic(), one_bad(0.5), beta=0.1, roles=NEGATIVE).item() == pytest.approx(20 * dpo)


def through(overrides: tuple[str, ...], t: Toy, ratio: float = 0.0, **token: Any) -> float:
    """The whole loss of single rows whose tokens all have one log-ratio."""
    composition = composed(*overrides)
    parts = OffPolicy.of(composition, composition.reference.given)
    scores = Scores(t.ref_logp_BKT + ratio, t.ref_logp_BKT, None, token)
    return parts(t.batch, scores).share.item()


def good_and_bad() -> Toy:
    """A good row of two tokens, a bad one of three."""
    t = toy(rows=2, responses=1, tokens=3, ragged=False)
    mask = torch.tensor([[[True, True, False]], [[True, True, True]]])
    first = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    t = t.replace(mask_BKT=mask, good_BK=first, bad_BK=1 - first, demo_BK=first, weight_B=torch.ones(2))
    return t.replace(totals=StepTotals(2.0, 2.0, 1))


def test_the_preset_with_a_likelihood_to_retain():
    t = good_and_bad()
    ref = t.ref_logp_BKT[0, 0, :2].tolist()
    forget = (20 * math.log(2) + 20 * math.log(1 + math.exp(0.1 * 3 * 0.5))) / 2
    retain = -sum(x + 0.5 for x in ref) / 2
    assert through(("algo=npo",), t, 0.5) == pytest.approx(forget + retain)


def test_the_preset_with_a_kl_to_retain():
    """KL 0.3 and 0.1 on the good row's tokens, a mean of 0.2; those of the bad row are not retained."""
    t = good_and_bad()
    kl = torch.tensor([[[0.3, 0.1, math.nan]], [[9.0, 9.0, 9.0]]], dtype=torch.float64)
    retained = ("algo=npo", "sft=none", "anchor=retain_kl")
    assert through(retained, t, kl_ref=kl) == pytest.approx(20 * math.log(2) + 0.2)
    heavier = (*retained, "anchor.weight=3")
    assert through(heavier, t, kl_ref=kl) == pytest.approx(20 * math.log(2) + 0.6)


@pytest.mark.parametrize("retained", [(), ("sft=none", "anchor=retain_kl")])
def test_a_step_with_nothing_to_retain_is_finite(retained: tuple[str, ...]) -> None:
    t = one_bad(0.0)
    t = t.replace(demo_BK=torch.zeros(1, 1).double(), totals=StepTotals(1.0, 0.0, 1), weight_B=torch.ones(1))
    found = through(("algo=npo", *retained), t, kl_ref=torch.ones_like(t.logp_BKT))
    assert found == pytest.approx(20 * math.log(2))


# --- D2O -------------------------------------------------------------------------------------------------


def test_group_contrast_by_hand():
    t = listed([0.3, 0.1, 0.4], [1, 1, 0])  # mean 0.2 against 0.2 / 0.1 times 0.4: log(1 + e^0.6)
    assert value(GroupContrast(0.2), t, beta=0.1).item() == pytest.approx(1.0374879, abs=1e-7)
    assert value(GroupContrast(0.2), listed([0.0] * 3, [1, 1, 0])).item() == pytest.approx(math.log(2))
    assert slopes(GroupContrast(0.2), listed([0.0] * 3, [1, 1, 0]), beta=0.1) == pytest.approx(
        [-0.25, -0.25, 1.0]
    )


def test_one_good_and_one_bad_response_are_dpo():
    t = listed([0.9, 0.2], [1, 0])
    found = value(GroupContrast(alpha=0.3), t, beta=0.3).item()
    assert found == pytest.approx(value(Logistic(), pair(0.9, 0.2)).item())


def test_more_samples_of_the_same_kind_change_nothing():
    one = value(GroupContrast(), listed([0.9, 0.2], [1, 0]))
    torch.testing.assert_close(value(GroupContrast(), listed([0.9, 0.9, 0.9, 0.2], [1, 1, 1, 0])), one)


def test_a_side_that_is_not_there_is_the_reference():
    alone = value(GroupContrast(0.2), listed([0.4, 0.6], [0, 0]), beta=0.1).item()
    assert alone == pytest.approx(math.log(1 + math.exp(2 * 0.5)))
    t = listed([5.0, 0.5], [1, 0])
    dropped = value(GroupContrast(0.2), t, beta=0.1, roles=NEGATIVE).item()
    assert dropped == pytest.approx(math.log(1 + math.exp(2 * 0.5)))
    assert slopes(GroupContrast(0.2), t, roles=NEGATIVE)[0] == 0.0
    nothing = toy(rows=1, responses=3).replace(good_BK=torch.zeros(1, 3), bad_BK=torch.zeros(1, 3))
    assert value(GroupContrast(), nothing).item() == 0.0


# --- unlikelihood ----------------------------------------------------------------------------------------


def tokens_of(probabilities: list[float], good: bool) -> Toy:
    t = toy(rows=1, responses=1, tokens=len(probabilities), ragged=False)
    side = torch.full((1, 1), float(good), dtype=torch.float64)
    logp = torch.tensor([[probabilities]], dtype=torch.float64).log()
    return dataclasses.replace(t.replace(good_BK=side, bad_BK=1 - side), logp_BKT=logp)


def test_unlikelihood_by_hand():
    # -log 0.5 - log 0.75, and -log 0.5 - log 0.25
    assert value(Unlikelihood(), tokens_of([0.5, 0.25], good=False)).item() == pytest.approx(0.9808293)
    assert value(Unlikelihood(0.5), tokens_of([0.5, 0.25], good=False)).item() == pytest.approx(0.4904146)
    assert value(Unlikelihood(0.5), tokens_of([0.5, 0.25], good=True)).item() == pytest.approx(2.0794415)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_certain_token_has_a_finite_loss_and_slope(dtype: torch.dtype) -> None:
    found = []
    for probability in (1.0, 1 - 1e-9, 1 - 1e-6, 0.999, 0.5, 1e-30):
        t = tokens_of([probability], good=False).to(dtype)
        leaf = t.logp_BKT.clone().requires_grad_()
        loss = value(Unlikelihood(), dataclasses.replace(t, logp_BKT=leaf))
        loss.sum().backward()
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all() and (leaf.grad >= 0).all()
        found.append(loss.item())
    assert all(math.isfinite(x) for x in found) and found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(6 * math.log(10) + 1, rel=1e-5)  # straight beyond 1e-6, slope 1e6
