"""Every objective against a loop over plain numbers, its step-0 value and gradient, and its limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective import oracles
from xpo.contracts import Context, Step
from xpo.objective.hinge import Hinge
from xpo.objective.likelihood import Likelihood
from xpo.objective.logistic import Logistic
from xpo.objective.odds_ratio import OddsRatio, log1mexp, log_odds
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.prospect import Prospect
from xpo.objective.squared import Squared
from xpo.testing import Toy, failures, toy

MISMATCHED = [0.4, -1.0, 2.1]


def seen(sum_and_count: Tensor) -> Step:
    """A step of one row."""
    return Step(sum_and_count[None], torch.ones(1, dtype=sum_and_count.dtype), torch.zeros(1).long())


STEP = seen(torch.tensor([1.5, 3.0], dtype=torch.float64))

Oracle = Callable[[list[float], dict[str, list[Any]]], float]

ORACLES: list[tuple[Any, Oracle]] = [
    (Logistic(), lambda r, row: oracles.logistic(r, row["prefer"])),
    (Squared(0.1), lambda r, row: oracles.squared(r, row["prefer"], 0.1)),
    (Squared(0.7), lambda r, row: oracles.squared(r, row["prefer"], 0.7)),
    (Hinge(), lambda r, row: oracles.hinge(r, row["prefer"])),
    (OddsRatio(), lambda r, row: oracles.odds_ratio(r, row["prefer"])),
    (Prospect(), lambda r, row: oracles.prospect(r, row["good"], row["bad"], MISMATCHED)),
    (Prospect(1.2, 0.7), lambda r, row: oracles.prospect(r, row["good"], row["bad"], MISMATCHED, (1.2, 0.7))),
    (PreferenceRanking(), lambda r, row: oracles.preference_ranking(r, row["score"])),
    (Likelihood(), lambda r, row: oracles.likelihood(row["logp"], row["demo"])),
]


def by_loop(oracle: Oracle, t: Toy) -> Tensor:
    """The oracle on every row, over the responses and tokens that are there."""
    rows = []
    for b in range(len(t.reward_BK)):
        there = [k for k in range(t.reward_BK.shape[1]) if t.batch.mask_BKT[b, k].any()]
        row: dict[str, list[Any]] = {}
        for name in ("good", "bad", "demo", "score"):
            row[name] = getattr(t.batch, f"{name}_BK")[b][there].tolist()
        row["prefer"] = t.batch.prefer_BKK[b][there][:, there].tolist()  # pyright: ignore
        row["logp"] = [t.logp_BKT[b, k][t.batch.mask_BKT[b, k]].tolist() for k in there]
        rows.append(oracle(t.reward_BK[b][there].tolist(), row))
    return torch.tensor(rows, dtype=torch.float64)


def loss(objective: Any, t: Toy, margin: float = 0.0) -> Tensor:
    return objective(t.reward_BK, t.batch, Context(margin, t.logp_BKT, STEP))


def pair(chosen: float, rejected: float) -> Toy:
    """One row of two responses, the first preferred, good, best and demonstrated."""
    t = toy(rows=1, responses=2, ragged=False)
    first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    t = t.replace(prefer_BKK=torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64))
    t = t.replace(good_BK=first, bad_BK=1 - first, demo_BK=first, score_BK=first)
    return dataclasses.replace(t, reward_BK=torch.tensor([[chosen, rejected]], dtype=torch.float64))


def slopes(objective: Any, t: Toy, step: Step = STEP) -> list[float]:
    leaf = t.reward_BK.clone().requires_grad_()
    objective(leaf, t.batch, Context(0.0, t.logp_BKT, step)).sum().backward()
    assert leaf.grad is not None
    return leaf.grad[0].tolist()


@pytest.mark.parametrize(("objective", "oracle"), ORACLES, ids=lambda v: repr(v) if not callable(v) else None)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("responses", [1, 2, 4])
def test_loop_oracle(objective: Any, oracle: Oracle, seed: int, responses: int) -> None:
    t = toy(rows=3, responses=responses, seed=seed)
    torch.testing.assert_close(loss(objective, t), by_loop(oracle, t), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("objective", [pair[0] for pair in ORACLES], ids=repr)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


def test_margin_is_taken_off_the_gap():
    t = toy(rows=2)
    for objective, oracle in (
        (Logistic(), lambda r, row: oracles.logistic(r, row["prefer"], 0.3)),
        (Squared(), lambda r, row: oracles.squared(r, row["prefer"], 0.1, 0.3)),
        (Hinge(), lambda r, row: oracles.hinge(r, row["prefer"], 0.3)),
        (OddsRatio(), lambda r, row: oracles.odds_ratio(r, row["prefer"], 0.3)),
    ):
        torch.testing.assert_close(loss(objective, t, 0.3), by_loop(oracle, t), rtol=1e-10, atol=0)


def test_values_at_the_reference():
    at_reference = pair(0.0, 0.0)
    zero = torch.zeros(2, dtype=torch.float64)
    assert loss(Logistic(), at_reference).item() == pytest.approx(math.log(2))
    assert loss(Logistic(), at_reference).item() == pytest.approx(math.log(2))
    assert loss(Squared(0.1), at_reference).item() == pytest.approx(25.0)
    assert loss(Hinge(), at_reference).item() == 1.0
    kto = Prospect()(at_reference.reward_BK, at_reference.batch, Context(step=seen(zero)))
    assert kto.item() == pytest.approx(0.5 + 0.5)  # one good and one bad response of mass 1 each


def test_gradients_at_the_reference():
    zero = seen(torch.tensor([0.0, 4.0], dtype=torch.float64))
    at_reference = pair(0.0, 0.0)
    assert slopes(Logistic(), at_reference) == pytest.approx([-0.5, 0.5])
    assert slopes(Squared(0.1), at_reference) == pytest.approx([-10.0, 10.0])  # -1 / tau
    assert slopes(Prospect(), at_reference, zero) == pytest.approx([-0.25, 0.25])
    assert slopes(Prospect(2.0, 3.0), at_reference, zero) == pytest.approx([-0.5, 0.75])


def test_z0_is_clamped_after_the_mean():
    t = pair(0.3, -0.2)
    negative = Prospect()(t.reward_BK, t.batch, Context(step=seen(torch.tensor([-5.0, 2.0]).double())))
    none_seen = Prospect()(t.reward_BK, t.batch, Context(step=seen(torch.zeros(2).double())))
    at_zero = oracles.prospect([0.3, -0.2], [1.0, 0.0], [0.0, 1.0], [0.0])
    assert negative.item() == pytest.approx(at_zero)
    assert none_seen.item() == pytest.approx(at_zero)
    # rewards -1 and 3 average to 1: clamping each first would give 1.5
    parts = [torch.tensor([-1.0, 1.0]).double(), torch.tensor([3.0, 1.0]).double()]
    mixed = Prospect()(t.reward_BK, t.batch, Context(step=seen(parts[0] + parts[1])))
    assert mixed.item() == pytest.approx(oracles.prospect([0.3, -0.2], [1.0, 0.0], [0.0, 1.0], [1.0]))


def test_observe_counts_responses_by_mass_and_weight():
    t = toy(rows=2, responses=2, ragged=False)
    t = dataclasses.replace(
        t.replace(demo_BK=None), reward_BK=torch.tensor([[1.0, 2.0], [5.0, 6.0]]).double()
    )
    assert Prospect().observe(t.reward_BK, t.batch, Context()).tolist() == [[3.0, 2.0], [11.0, 2.0]]
    t = t.replace(demo_BK=torch.tensor([[0.25, 0.75], [0.5, 0.5]]).double())
    table = Prospect().observe(t.reward_BK, t.batch, Context())
    assert table.tolist() == [[1.75, 1.0], [5.5, 1.0]]
    step = Step(table, torch.tensor([3.0, 1.0]).double(), torch.arange(2))
    assert Prospect().z0(Context(step=step)).item() == pytest.approx((3 * 1.75 + 5.5) / 4)


def test_ranking_of_two_is_the_logistic_loss_at_the_score_gap():
    t = toy(rows=3, responses=2, ragged=False)
    assert t.batch.score_BK is not None
    order = t.batch.score_BK.argsort(1, descending=True)
    gap = t.reward_BK.gather(1, order) * t.batch.score_BK.gather(1, order).diff(dim=1).abs()
    expected = [oracles.softplus(-(a - b)) for a, b in gap.tolist()]
    torch.testing.assert_close(loss(PreferenceRanking(), t), torch.tensor(expected).double())


def test_ties_are_not_ranked_against_each_other():
    t = toy(rows=1, responses=3, ragged=False)
    tied = t.replace(score_BK=torch.full((1, 3), 2.0, dtype=torch.float64))
    assert loss(PreferenceRanking(), tied).item() == 0.0
    assert slopes(PreferenceRanking(), tied) == [0.0, 0.0, 0.0]


def test_ranking_survives_large_rewards():
    t = dataclasses.replace(toy(rows=1, ragged=False), reward_BK=torch.tensor([[-800.0, 900.0, -1000.0]]))
    t = t.replace(score_BK=torch.tensor([[3.0, 2.0, 0.0]]))
    # the first step: own e^(-800 * 3), the others e^(900 * 1) and e^(-1000 * 3); the second is certain
    assert loss(PreferenceRanking(), t).item() == pytest.approx(900.0 + 2400.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("chosen", [0.0, -1e-8, -1e-4, -1.0, -80.0])
@pytest.mark.parametrize("rejected", [0.0, -1e-8, -1e-4, -1.0, -80.0])
def test_odds_ratio_is_finite_up_to_certainty(chosen: float, rejected: float, dtype: torch.dtype) -> None:
    t = pair(chosen, rejected).to(dtype)
    leaf = t.reward_BK.clone().requires_grad_()
    value = OddsRatio()(leaf, t.batch, Context())
    value.sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(value).all() and torch.isfinite(leaf.grad).all()
    assert leaf.grad[0, 1] >= 0 >= leaf.grad[0, 0]
    if rejected >= chosen:
        assert leaf.grad[0, 1] > 0, "a rejected response of certain probability is pushed down"


def test_log_odds_by_hand():
    p = torch.tensor([0.5, 0.9, 0.2], dtype=torch.float64)
    assert log_odds(p.log()).tolist() == pytest.approx([0.0, math.log(9), math.log(0.25)])
    assert log1mexp(torch.tensor(-1e-5)).item() == pytest.approx(math.log(1e-5), rel=1e-5)


def test_negative_polarity_leaves_the_preferred_side_out():
    def roles(reward: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(reward), reward

    t = pair(0.8, 0.5)
    for objective in (Logistic(), Squared(), Hinge(), Prospect()):
        leaf = t.reward_BK.clone().requires_grad_()
        objective(leaf, t.batch, Context(step=STEP, roles=roles)).sum().backward()
        assert leaf.grad is not None
        assert leaf.grad[0, 0] == 0 and leaf.grad[0, 1] > 0, objective
    value = Logistic()(t.reward_BK, t.batch, Context(roles=roles))
    assert value.item() == pytest.approx(oracles.softplus(0.5))  # the gap is 0 - 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Squared(tau=0.0), "tau must be above 0"),
        (lambda: Squared(tau=math.inf), "tau must be above 0"),
        (lambda: Hinge(delta=-0.1), "delta must be at least 0"),
        (lambda: Prospect(desirable_weight=0.0), "desirable_weight must be above 0"),
        (lambda: Prospect(undesirable_weight=math.nan), "undesirable_weight must be above 0"),
    ],
)
def test_ranges(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
