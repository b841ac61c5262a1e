"""Label noise by hand, and flips undone in expectation, by enumeration of every pattern of flips."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective.oracles import softplus
from tests.objective.test_objective import STEP, pair
from tests.test_arrow import arrow
from xpo.arrow import Scores
from xpo.contracts import Batch, Context, StepTotals
from xpo.gold.labels import LabelModel
from xpo.gold.rows import population_rows
from xpo.gold.world import World
from xpo.label_noise.flips import Flips
from xpo.label_noise.mixed import mixed
from xpo.label_noise.none import NoNoise
from xpo.label_noise.smoothing import Smoothing
from xpo.margin.constant import Constant
from xpo.objective.exponential import Exponential
from xpo.objective.hinge import Hinge
from xpo.objective.logistic import Logistic
from xpo.objective.prospect import Prospect
from xpo.objective.quadratic import Quadratic
from xpo.objective.savage import Savage
from xpo.testing import Toy, toy


def masses(batch: Batch) -> tuple[Any, Any, Any]:
    assert batch.prefer_BKK is not None and batch.good_BK is not None and batch.bad_BK is not None
    return batch.prefer_BKK[0].tolist(), batch.good_BK[0].tolist(), batch.bad_BK[0].tolist()


def near(*values: float) -> Any:
    return pytest.approx(list(values), abs=1e-12)


def labelled() -> Toy:
    """A hard pair, its sides good and bad with half the mass each."""
    half = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    return pair(0.9, 0.2).replace(good_BK=half, bad_BK=half.flip(1))


def test_smoothing_by_hand():
    prefer, good, bad = masses(Smoothing(0.2)(labelled().batch))
    assert prefer == [near(0.0, 0.8), near(0.2, 0.0)]
    assert (good, bad) == (near(0.4, 0.1), near(0.1, 0.4))


def test_flips_by_hand():
    prefer, good, bad = masses(Flips(0.1)(labelled().batch))
    assert prefer == [near(0.0, 1.125), near(-0.125, 0.0)]  # 0.9 / 0.8 and -0.1 / 0.8
    assert (good, bad) == (near(0.5625, -0.0625), near(-0.0625, 0.5625))


def test_soft_labels_by_hand():
    """0.7 against 0.3: 0.8 0.7 + 0.2 0.3 = 0.62; undone at 0.2, (0.8 0.7 - 0.2 0.3) / 0.6 = 5 / 6."""
    soft = torch.tensor([[[0.0, 0.7], [0.3, 0.0]]], dtype=torch.float64)
    t = labelled().replace(prefer_BKK=soft)
    assert masses(Smoothing(0.2)(t.batch))[0] == [near(0.0, 0.62), near(0.38, 0.0)]
    assert masses(Flips(0.2)(t.batch))[0] == [near(0.0, 5 / 6), near(1 / 6, 0.0)]


def test_losses_of_a_pair_by_hand():
    t = labelled()  # a gap of 0.7
    context = Context(step=STEP)
    conservative = Logistic()(t.reward_BK, Smoothing(0.2)(t.batch), context).item()
    assert conservative == pytest.approx(0.8 * softplus(-0.7) + 0.2 * softplus(0.7))
    robust = Logistic()(t.reward_BK, Flips(0.1)(t.batch), context).item()
    assert robust == pytest.approx((0.9 * softplus(-0.7) - 0.1 * softplus(0.7)) / 0.8)
    shifted = Logistic()(t.reward_BK, Smoothing(0.2)(t.batch), Context(0.3)).item()
    assert shifted == pytest.approx(0.8 * softplus(-0.4) + 0.2 * softplus(1.0))  # both orders have the margin


@pytest.mark.parametrize("noise", [Smoothing(1e-10), Flips(1e-10), NoNoise()], ids=repr)
def test_a_rate_of_nothing_is_dpo(noise: Any) -> None:
    t = toy()
    scores = Scores(t.logp_BKT, t.ref_logp_BKT)
    plain, noisy = (parts(t.batch, scores).share.item() for parts in (arrow(), arrow(label_noise=noise)))
    assert noisy == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize("noise", [Smoothing(0.2), Flips(0.2)], ids=repr)
@pytest.mark.parametrize("rows", [1, 3])
def test_masses_still_sum_to_what_they_did(noise: Any, rows: int) -> None:
    before = toy(rows=rows).batch
    after = noise(before)
    assert before.prefer_BKK is not None and before.good_BK is not None and before.bad_BK is not None
    torch.testing.assert_close(after.prefer_BKK.sum((1, 2)), before.prefer_BKK.sum((1, 2)))
    torch.testing.assert_close(after.good_BK + after.bad_BK, before.good_BK + before.bad_BK)
    absent = ~before.present_BK
    assert not after.prefer_BKK[absent].any() and not after.good_BK[absent].any()


def test_the_conservative_gap_is_the_log_odds_of_the_rate():
    """Its slope is 0 at log((1 - e) / e): log 4 at 0.2."""
    t = pair(1.3862943611198906, 0.0)
    leaf = t.reward_BK.clone().requires_grad_()
    Logistic()(leaf, Smoothing(0.2)(t.batch), Context()).sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().max() < 1e-12


def test_robust_losses_have_no_lower_bound():
    t = pair(1000.0, 0.0)
    assert Logistic()(t.reward_BK, Flips(0.1)(t.batch), Context()).item() == pytest.approx(-125.0)
    assert Savage()(t.reward_BK, Flips(0.1)(t.batch), Context()).item() == pytest.approx(-0.125)  # bounded


def flipped(batch: Batch, pattern: tuple[bool, ...]) -> Batch:
    """Every comparison of the row, then the label of every response, turned round or not."""
    assert batch.prefer_BKK is not None and batch.good_BK is not None and batch.bad_BK is not None
    K = batch.prefer_BKK.shape[1]
    prefer = batch.prefer_BKK.clone()
    for turned, (i, j) in zip(pattern, itertools.combinations(range(K), 2), strict=False):
        if turned:
            prefer[:, i, j], prefer[:, j, i] = batch.prefer_BKK[:, j, i], batch.prefer_BKK[:, i, j]
    turned = torch.tensor(pattern[K * (K - 1) // 2 :])
    good = torch.where(turned, batch.bad_BK, batch.good_BK)
    bad = torch.where(turned, batch.good_BK, batch.bad_BK)
    return dataclasses.replace(batch, prefer_BKK=prefer, good_BK=good, bad_BK=bad)


def expected(objective: Any, noise: Any, t: Toy, rate: float) -> Tensor:
    """The mean of the corrected loss over all 2^6 patterns, each flip independent at ``rate``."""
    total = torch.zeros(1, dtype=torch.float64)
    for pattern in itertools.product((False, True), repeat=6):
        probability = math.prod(rate if turned else 1 - rate for turned in pattern)
        batch = noise(flipped(t.batch, pattern))
        total = total + probability * objective(t.reward_BK, batch, Context(0.2, step=STEP))
    return total


OBJECTIVES = [Logistic(), Hinge(), Quadratic(), Exponential(), Savage(), Prospect(1.2, 0.7)]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("rate", [0.1, 0.35])
def test_flips_are_undone_in_expectation(objective: Any, rate: float) -> None:
    t = toy(rows=1, responses=3, ragged=False)
    clean = objective(t.reward_BK, t.batch, Context(0.2, step=STEP))
    torch.testing.assert_close(expected(objective, Flips(rate), t, rate), clean, rtol=1e-12, atol=0)
    for other in (NoNoise(), Smoothing(rate), Flips(rate / 2)):
        assert not torch.allclose(expected(objective, other, t, rate), clean, rtol=1e-6), other


def test_the_population_of_flipped_labels_becomes_that_of_true_ones():
    world = World(prompts=2, symbols=2, max_symbols=2)
    ref = torch.log_softmax(torch.arange(2 * world.size).double().view(2, -1) / 7, 1)
    for noise in (0.1, 0.3):
        true = population_rows(world, ref)[0]
        noisy = population_rows(world, ref, labels=LabelModel(noise=noise).of_world(world, ref))[0]
        t = toy(rows=1, responses=world.size, ragged=False).replace(
            prefer_BKK=torch.as_tensor(noisy.prefer)[None],
            good_BK=torch.as_tensor(noisy.good)[None],
            bad_BK=torch.as_tensor(noisy.bad)[None],
        )
        found = masses(Flips(noise)(t.batch))
        for values, name in zip(found, ("prefer", "good", "bad"), strict=True):
            torch.testing.assert_close(torch.tensor(values), torch.as_tensor(getattr(true, name)).float())


def test_who_undoes_what():
    assert (Flips(0.1).undone, NoNoise().undone, Smoothing(0.1).undone) == (0.1, 0.0, None)


def test_a_whole_step_through_the_arrow():
    """Robust DPO with SimPO's margin on one pair, on plain numbers."""
    t = labelled().replace(weight_B=torch.ones(1).double(), totals=StepTotals(1, 1, 1))
    parts = arrow(label_noise=Flips(0.2), margin=Constant(gamma=0.5))
    reward = parts.rewards(t.batch, t.logp_BKT, t.ref_logp_BKT)[0].tolist()
    gap = reward[0] - reward[1]
    value = parts(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT)).share.item()
    assert value == pytest.approx((0.8 * softplus(0.5 - gap) - 0.2 * softplus(0.5 + gap)) / 0.6)


@pytest.mark.parametrize("make", [Smoothing, Flips])
@pytest.mark.parametrize("rate", [0.0, -0.1, 0.5, 0.7, math.nan])
def test_ranges(make: Any, rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate must be above 0 and below 0.5, got .*label_noise=none"):
        make(rate)


@dataclass(frozen=True)
class Unscaled(Flips):
    """Forgets to divide by 1 - 2 rate."""

    def __call__(self, batch: Batch) -> Batch:
        return mixed(batch, 1 - self.rate, -self.rate)


@dataclass(frozen=True)
class OneSided(Flips):
    """Turns comparisons round and forgets labels."""

    def __call__(self, batch: Batch) -> Batch:
        corrected = super().__call__(batch)
        return dataclasses.replace(corrected, good_BK=batch.good_BK, bad_BK=batch.bad_BK)


@dataclass(frozen=True)
class Added(Flips):
    """The sign of smoothing."""

    def __call__(self, batch: Batch) -> Batch:
        scale = 1 - 2 * self.rate
        return mixed(batch, (1 - self.rate) / scale, self.rate / scale)


@pytest.mark.parametrize(
    ("broken", "objective"),
    [(Unscaled(0.1), Logistic()), (Added(0.1), Logistic()), (OneSided(0.1), Prospect())],
    ids=lambda part: type(part).__name__,
)
def test_broken_corrections_are_biased(broken: Any, objective: Any) -> None:
    t = toy(rows=1, responses=3, ragged=False)
    clean = objective(t.reward_BK, t.batch, Context(0.2, step=STEP))
    assert not torch.allclose(expected(objective, broken, t, 0.1), clean, rtol=1e-6)
