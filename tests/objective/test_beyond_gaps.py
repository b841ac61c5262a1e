"""Objectives that are no curves of gaps: against loops, at the edges, and deliberately broken."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.objective import label_oracles as oracles
from tests.objective.test_objective import Oracle, by_loop
from tests.test_mutations import caught, mutant, original
from xpo.contracts import Batch, Context, masked
from xpo.objective.anchored import Anchored
from xpo.objective.anchored_down import AnchoredDown
from xpo.objective.calibrated import Calibrated
from xpo.objective.group_contrast import GroupContrast
from xpo.objective.logistic import Logistic
from xpo.objective.noise_contrastive import NoiseContrastive
from xpo.objective.response_logistic import ResponseLogistic
from xpo.objective.reverse_kl_labels import ReverseKLLabels
from xpo.objective.unlikelihood import Unlikelihood
from xpo.objective.win_rate_regression import WinRateRegression
from xpo.testing import Toy, failures, toy

BETA = oracles.BETA

ORACLES: list[tuple[Any, Oracle]] = [
    (ReverseKLLabels(), lambda r, row: oracles.reverse_kl_labels(r, row["prefer"])),
    (Calibrated(5.0, 0.5), lambda r, row: oracles.calibrated(r, row["prefer"], 0.1, 0.5)),
    (Calibrated(2.0, 1.0), lambda r, row: oracles.calibrated(r, row["prefer"], 0.25, 1.0)),
    (Anchored(), lambda r, row: oracles.anchored(r, row["good"], row["bad"], (1.0, 1.0))),
    (Anchored(2.0, 0.3), lambda r, row: oracles.anchored(r, row["good"], row["bad"], (2.0, 0.3))),
    (AnchoredDown(), lambda r, row: oracles.anchored_down(r, row["prefer"])),
    (NoiseContrastive(), lambda r, row: oracles.noise_contrastive(r, row["prefer"])),
    (WinRateRegression(), lambda r, row: oracles.win_rate_regression(r, row["prefer"], False)),
    (WinRateRegression(itself=True), lambda r, row: oracles.win_rate_regression(r, row["prefer"], True)),
    (ResponseLogistic(), lambda r, row: oracles.response_logistic(r, row["good"], row["bad"])),
    (GroupContrast(), lambda r, row: oracles.group_contrast(r, row["good"], row["bad"], 0.1)),
    (GroupContrast(0.9), lambda r, row: oracles.group_contrast(r, row["good"], row["bad"], 0.9)),
    (Unlikelihood(), lambda r, row: oracles.unlikelihood(row["logp"], row["good"], row["bad"], 1.0)),
    (Unlikelihood(0.4), lambda r, row: oracles.unlikelihood(row["logp"], row["good"], row["bad"], 0.4)),
]

KNOWN = [known for known, _ in ORACLES]


def value(objective: Any, t: Toy, **context: Any) -> Tensor:
    return objective(t.reward_BK, t.batch, Context(logp_BKT=t.logp_BKT, **{"beta": BETA, **context}))


def slopes(objective: Any, t: Toy, **context: Any) -> list[float]:
    leaf = t.reward_BK.clone().requires_grad_()
    value(objective, dataclasses.replace(t, reward_BK=leaf), **context).sum().backward()
    assert leaf.grad is not None
    return leaf.grad[0].tolist()


@pytest.mark.parametrize(("objective", "oracle"), ORACLES, ids=lambda v: repr(v) if not callable(v) else None)
@pytest.mark.parametrize("responses", [1, 2, 4])
def test_loop_oracle(objective: Any, oracle: Oracle, responses: int) -> None:
    t = toy(rows=3, responses=responses, seed=responses)
    torch.testing.assert_close(value(objective, t), by_loop(oracle, t), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("objective", KNOWN, ids=repr)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


@pytest.mark.parametrize("objective", KNOWN, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [0.0, 1e-30, 90.0, 1e4])
def test_extreme_rewards_are_finite(objective: Any, dtype: torch.dtype, size: float) -> None:
    t = toy(rows=2)
    signs = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    t = dataclasses.replace(t, reward_BK=size * signs, logp_BKT=-size * torch.ones_like(t.logp_BKT)).to(dtype)
    leaf, logp = t.reward_BK.clone().requires_grad_(), t.logp_BKT.clone().requires_grad_()
    loss = value(objective, dataclasses.replace(t, reward_BK=leaf, logp_BKT=logp))
    loss.sum().backward()
    for found in (loss, *(x.grad for x in (leaf, logp) if x.grad is not None)):
        assert torch.isfinite(found).all()


@pytest.mark.parametrize("objective", KNOWN, ids=repr)
@pytest.mark.parametrize("responses", [1, 3])
def test_rows_in_which_nobody_is_better_push_nothing_apart(objective: Any, responses: int) -> None:
    """Without comparisons there is no loss; with even ones equal rewards stay equal."""
    t = toy(rows=1, responses=responses, ragged=False)
    even = (1 - torch.eye(responses, dtype=torch.float64)) / max(1, responses * (responses - 1))
    half = torch.full((1, responses), 0.5 / responses, dtype=torch.float64)
    t = t.replace(prefer_BKK=even[None], good_BK=half, bad_BK=half)
    t = dataclasses.replace(t, reward_BK=torch.zeros(1, responses, dtype=torch.float64))
    assert torch.isfinite(value(objective, t)).all()
    if objective.reads_reward:
        found = slopes(objective, t)
        assert found == pytest.approx([found[0]] * responses)


# --- deliberately broken ---------------------------------------------------------------------------------


def _outer_detached(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    """Same value, another gradient: the cross entropy's part alone."""
    assert batch.prefer_BKK is not None
    reward_BK = masked(reward_BK, batch.present_BK)
    gap_BKK = reward_BK[:, :, None] - reward_BK[:, None, :]
    mass_BKK = batch.prefer_BKK + batch.prefer_BKK.transpose(1, 2)
    q_BKK = torch.where(mass_BKK > 0, batch.prefer_BKK / mass_BKK, 0.5)
    p_BKK = gap_BKK.sigmoid().detach()
    return (mass_BKK * p_BKK * (logsigmoid(gap_BKK) - q_BKK.log())).sum((1, 2))


def _forward_kl(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Logistic()(reward_BK, batch, context)


def _target_of_one_sign(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    shift = 2 * self.target * masked(batch.prefer_BKK.sum(1) > 0, batch.present_BK)  # pyright: ignore
    return original(self, reward_BK - shift, batch, context)


def _beta_in_the_logistic(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    plain, scaled = Logistic()(reward_BK, batch, context), Logistic()(0.1 * reward_BK, batch, context)
    return original(self, reward_BK, batch, context) - plain + scaled


def _no_anchor(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(
        self, reward_BK - masked(reward_BK, batch.present_BK).mean(1, keepdim=True), batch, context
    )


def _whole_noise(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return 2 * original(self, reward_BK, batch, context) - Logistic()(reward_BK, batch, context)


def _reward_for_log_ratio(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, reward_BK * context.beta, batch, context)


def _without_two_over_beta(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, reward_BK, batch, context) * context.beta / 2


def _sums_for_means(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, reward_BK * batch.present_BK.sum(1, keepdim=True), batch, context)


def _alpha_on_rewards(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, reward_BK, batch, dataclasses.replace(context, beta=1.0))


def _likelihood_of_bad(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.logp_BKT is not None and batch.good_BK is not None and batch.bad_BK is not None
    signed_BK = batch.good_BK - self.weight * batch.bad_BK
    return -(signed_BK * masked(context.logp_BKT, batch.mask_BKT).sum(-1)).sum(1)


BROKEN = [
    (ReverseKLLabels(), _forward_kl),
    (Calibrated(5.0, 0.5), _target_of_one_sign),
    (Calibrated(5.0, 0.5), _beta_in_the_logistic),
    (Anchored(), _no_anchor),
    (AnchoredDown(), _no_anchor),
    (NoiseContrastive(), _no_anchor),
    (NoiseContrastive(), _whole_noise),
    (WinRateRegression(), _reward_for_log_ratio),
    (ResponseLogistic(), _without_two_over_beta),
    (GroupContrast(), _sums_for_means),
    (GroupContrast(), _alpha_on_rewards),
    (Unlikelihood(), _likelihood_of_bad),
]


@pytest.mark.parametrize(("objective", "call"), BROKEN, ids=lambda v: getattr(v, "__name__", ""))
def test_oracles_tell_broken_ones(objective: Any, call: Any) -> None:
    oracle, t = next(oracle for known, oracle in ORACLES if known == objective), toy(rows=3)
    assert torch.allclose(value(mutant(objective, original), t), by_loop(oracle, t), rtol=1e-9)
    assert not torch.allclose(value(mutant(objective, call), t), by_loop(oracle, t), rtol=1e-6)


def test_the_kit_tells_a_stopped_gradient():
    broken, t = mutant(ReverseKLLabels(), _outer_detached), toy(rows=3)
    torch.testing.assert_close(value(broken, t), value(ReverseKLLabels(), t))
    assert caught(broken, "objective") != []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Calibrated(target=0.0), "target must be above 0"),
        (lambda: Calibrated(weight=-1.0), "weight must be above 0"),
        (lambda: Anchored(desirable_weight=0.0), "desirable_weight must be above 0"),
        (lambda: Anchored(undesirable_weight=math.inf), "undesirable_weight must be above 0"),
        (lambda: GroupContrast(alpha=math.nan), "alpha must be above 0"),
        (lambda: Unlikelihood(weight=0.0), "weight must be above 0"),
    ],
)
def test_ranges(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("objective", [*KNOWN, Logistic()], ids=repr)
def test_the_kit_tells_wrong_declarations(objective: Any) -> None:
    for declared in ("reads_beta", "soft_labels", "unbiased_in_labels", "by_pairs"):
        if "comparisons" not in objective.needs and declared in ("soft_labels", "by_pairs"):
            continue
        liar = mutant(objective, original, **{declared: not getattr(objective, declared)})
        assert caught(liar, "objective") != [], declared
