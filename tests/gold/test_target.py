"""Targets against perturbation, stationarity of the loss that they belong to, and known special cases."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xpo import registry
from xpo.anchor.none import NoAnchor
from xpo.arity.pair import Pair
from xpo.divergence.alpha import Alpha
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.hellinger import Hellinger
from xpo.divergence.js import JensenShannon
from xpo.divergence.none import NoDivergence
from xpo.divergence.reverse_kl import ReverseKL
from xpo.feedback.preference import Preference
from xpo.gold.labels import LabelModel
from xpo.gold.rows import population_rows
from xpo.gold.target import Target, expectation, fitted_policy, kl, population_target
from xpo.gold.world import World
from xpo.label_noise.flips import Flips
from xpo.label_noise.none import NoNoise
from xpo.label_noise.smoothing import Smoothing
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.length.shared_length import SharedLength
from xpo.length.sum import Sum
from xpo.margin.constant import Constant
from xpo.margin.none import NoMargin
from xpo.objective.hinge import Hinge
from xpo.objective.logistic import Logistic
from xpo.objective.squared import Squared
from xpo.polarity.both import Both
from xpo.polarity.negative import Negative
from xpo.reference.frozen import Frozen
from xpo.reference.none import NoReference
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward_form.pointwise import Pointwise
from xpo.reward_level.response import ResponseLevel
from xpo.reward_level.token import TokenLevel
from xpo.sampling.off_policy import OffPolicy
from xpo.sft.merged import Merged
from xpo.sft.separate import Separate
from xpo.weighting.none import NoWeighting


def composed(**changed: Any) -> Any:
    parts: dict[str, Any] = {
        "objective": Logistic(),
        "divergence": ReverseKL(),
        "length": Sum(),
        "reward": Implicit(beta=0.5),
        "reward_form": Pointwise(),
        "reward_level": ResponseLevel(),
        "arity": Pair(),
        "polarity": Both(),
        "feedback": Preference(),
        "margin": NoMargin(),
        "label_noise": NoNoise(),
        "weighting": NoWeighting(),
        "anchor": NoAnchor(),
        "sft": Separate(),
        "reference": Frozen(),
        "sampling": OffPolicy(),
    }
    return SimpleNamespace(**(parts | changed))


def target_of(world: World, ref: Tensor, **changed: Any) -> Target:
    target = population_target(world, ref, composed(**changed))
    assert target is not None
    assert torch.allclose(target.logp_XN.exp().sum(1), torch.ones(world.prompts, dtype=torch.float64))
    return target


DIVERGENCES = [
    registry.component("divergence", name)()
    for name in registry.names("divergence")
    if registry.component("divergence", name).regularises
]


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: type(d).__name__)
@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_optimum_beats_every_perturbation(world: World, ref: Tensor, divergence: Any, beta: float) -> None:
    """J is concave, so that no small step from the maximum, in any direction, gains."""
    optimum = divergence.optimum(ref, world.reward_XN, beta)
    target = Target(optimum, world.reward_XN, beta, divergence)
    best = target.value(optimum, ref)
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(25):
            noise = size * torch.randn(optimum.shape, generator=generator, dtype=torch.float64)
            moved = torch.log_softmax(optimum + noise, 1)  # where pi* is 0 it stays 0
            assert target.value(moved, ref) <= best + 1e-9


def test_hellinger_is_alpha_one_half_at_half_the_beta(world: World, ref: Tensor) -> None:
    left = Hellinger().optimum(ref, world.reward_XN, 0.6)
    right = Alpha(0.5).optimum(ref, world.reward_XN, 0.3)
    assert torch.allclose(left, right, atol=1e-9)
    assert kl(left, right) == pytest.approx(0, abs=1e-10)


def test_reverse_kl_target_is_the_tilted_reference(world: World, ref: Tensor) -> None:
    target = target_of(world, ref)
    for x in range(world.prompts):
        weights = [
            math.exp(a + r / 0.5) for a, r in zip(ref[x].tolist(), world.reward_XN[x].tolist(), strict=True)
        ]
        expected = [w / sum(weights) for w in weights]
        assert target.logp_XN[x].exp().tolist() == pytest.approx(expected, rel=1e-8)


def test_length_penalty_enters_the_reward_with_a_minus(world: World, ref: Tensor) -> None:
    target = target_of(world, ref, length=Penalty(alpha=0.2))
    tilted = torch.log_softmax(ref + (world.reward_XN - 0.2 * world.length_N) / 0.5, 1)
    assert torch.allclose(target.logp_XN, tilted, atol=1e-9)


def test_explicit_labels_are_scaled(world: World, ref: Tensor) -> None:
    target = target_of(world, ref, reward=Explicit(beta=0.5, scale=2.0))
    assert torch.allclose(target.logp_XN, torch.log_softmax(ref + world.reward_XN / 1.0, 1), atol=1e-9)


def test_ipo_target_is_its_papers_closed_form(world: World, ref: Tensor) -> None:
    target = target_of(world, ref, objective=Squared(tau=0.25), reward=Implicit(beta=1.0))
    for x in range(world.prompts):
        p, r = ref[x].exp().tolist(), world.reward_XN[x].tolist()
        beats = [sum(p[j] / (1 + math.exp(r[j] - r[i])) for j in range(len(p))) for i in range(len(p))]
        weights = [p[i] * math.exp(beats[i] / 0.25) for i in range(len(p))]
        expected = [w / sum(weights) for w in weights]
        assert target.logp_XN[x].exp().tolist() == pytest.approx(expected, rel=1e-8)


def test_simpo_without_margin_is_exponential_in_the_length(world: World, ref: Tensor) -> None:
    parts = {"reference": NoReference(), "length": Mean(), "divergence": NoDivergence()}
    target = target_of(world, ref, reward=Implicit(beta=2.0), **parts)
    assert target.divergence is None
    constant = target.logp_XN / world.length_N - world.reward_XN / 2.0
    assert torch.allclose(constant, constant[:, :1].expand_as(constant), atol=1e-9)


@pytest.mark.parametrize("divergence", [ReverseKL(), JensenShannon(), ForwardKL(), Hellinger()])
def test_numeric_solution_equals_the_divergences_own(world: World, ref: Tensor, divergence: Any) -> None:
    ones = torch.ones(world.size, dtype=torch.float64)
    mine = fitted_policy(divergence, ref, world.reward_XN / 0.7, ones)
    assert torch.allclose(mine, divergence.optimum(ref, world.reward_XN, 0.7), atol=1e-6)


CASES = {
    "js": {"divergence": JensenShannon()},
    "forward_kl": {"divergence": ForwardKL()},
    "mean length": {"length": Mean()},
    "mean length, hellinger": {"length": Mean(), "divergence": Hellinger()},
    "penalty, alpha": {"length": Penalty(alpha=0.1), "divergence": Alpha(0.3)},
    "free": {"reference": NoReference(), "divergence": NoDivergence()},
    "free, js, mean": {"reference": NoReference(), "length": Mean(), "divergence": JensenShannon()},
    "ipo": {"objective": Squared(tau=0.4), "reward": Implicit(beta=1.0)},
    "ipo, mean": {"objective": Squared(tau=0.4), "reward": Implicit(beta=1.0), "length": Mean()},
    "ipo, js": {"objective": Squared(tau=2.0), "reward": Implicit(beta=1.0), "divergence": JensenShannon()},
}


def population_loss(world: World, ref: Tensor, parts: Any, logp: Tensor) -> Tensor:
    """The expected loss of a tabular policy, written out here once more, pair by pair as a K x K table."""
    length = world.length_N.double()
    ratio = logp - ref if parts.reference.given else logp
    pooled = ratio / length if parts.length.averages else ratio
    offset = parts.length.alpha * length if parts.length.has_offset else 0.0
    reward = parts.reward.beta * parts.divergence.link(pooled) + offset
    prefer = torch.stack([torch.from_numpy(np.asarray(row.prefer)) for row in population_rows(world, ref)])
    gap = reward[:, :, None] - reward[:, None, :]
    if isinstance(parts.objective, Squared):
        return (prefer * (gap - 1 / (2 * parts.objective.tau)) ** 2).sum()
    return (prefer * torch.log1p(torch.exp(-gap))).sum()


@pytest.mark.parametrize("case", CASES)
def test_target_is_a_stationary_point_of_the_population_loss(world: World, ref: Tensor, case: str) -> None:
    parts = composed(**CASES[case])
    target = target_of(world, ref, **CASES[case])
    logits = target.logp_XN.clone().requires_grad_()
    population_loss(world, ref, parts, torch.log_softmax(logits, 1)).backward()
    start = ref.clone().requires_grad_()
    population_loss(world, ref, parts, torch.log_softmax(start, 1)).backward()
    assert logits.grad is not None and start.grad is not None
    assert float(logits.grad.abs().max()) < 1e-5 * max(1.0, float(start.grad.abs().max()))


@pytest.mark.parametrize(
    "changed",
    [
        {"margin": Constant(gamma=0.5)},
        {"polarity": Negative()},
        {"sft": Merged()},
        {"reward_level": TokenLevel(), "divergence": JensenShannon()},
        {"length": SharedLength(alpha=0.5)},
        {"objective": Hinge()},
        {"label_noise": Smoothing(0.1)},
        {"label_noise": Flips(0.1)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_no_target_is_claimed_where_none_is_known(world: World, ref: Tensor, changed: dict[str, Any]) -> None:
    assert population_target(world, ref, composed(**changed)) is None


def test_flipped_labels_have_no_target(world: World, ref: Tensor) -> None:
    assert population_target(world, ref, composed(), LabelModel(noise=0.1).of_world(world, ref)) is None


def test_value_needs_a_functional(world: World, ref: Tensor) -> None:
    target = dataclasses.replace(target_of(world, ref), divergence=None)
    with pytest.raises(ValueError, match="maximises no"):
        target.value(ref, ref)
    assert expectation(ref, torch.ones_like(ref)) == pytest.approx(1)
