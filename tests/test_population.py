"""Where the losses lead: the minimiser over all policies of a small set, against closed forms.

One prompt, six responses of different lengths, every ordered pair with its exact Bradley-Terry mass. The
policy is free (a softmax over the six), so the minimum is found to many digits.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.test_arrow import arrow
from xpo import registry
from xpo.arrow import OffPolicy, Scores
from xpo.contracts import Batch, StepTotals
from xpo.divergence.alpha import Alpha
from xpo.divergence.none import NoDivergence
from xpo.divergence.reverse_kl import ReverseKL
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.objective.squared import Squared
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.testing import toy

REF = torch.tensor([0.3, 0.25, 0.2, 0.12, 0.08, 0.05], dtype=torch.float64)
REWARD = torch.tensor([0.2, -0.7, 0.9, 0.4, -0.3, 0.6], dtype=torch.float64)
LENGTH = torch.tensor([1, 2, 3, 1, 2, 3])
WIN = torch.sigmoid(REWARD[:, None] - REWARD[None, :])


def population() -> Batch:
    batch = toy(rows=1, responses=6, tokens=3).batch
    return dataclasses.replace(
        batch,
        mask_BKT=(torch.arange(3) < LENGTH[:, None])[None],
        prefer_BKK=(REF[:, None] * REF[None, :] * WIN)[None],
        score_BK=REWARD[None],
        weight_B=torch.ones(1, dtype=torch.float64),
        totals=StepTotals(1.0, 1.0, 1),
    )


def spread(logp_K: Tensor) -> Tensor:
    """Log-probabilities of responses, divided evenly among their tokens."""
    return (logp_K / LENGTH)[None, :, None].expand(1, 6, 3)


def minimiser(parts: OffPolicy, batch: Batch | None = None, free: bool = False) -> Tensor:
    batch = population() if batch is None else batch
    ref = torch.zeros(1, 6, 3, dtype=torch.float64) if free else spread(REF.log())
    logits = REF.log().clone().requires_grad_()
    search = torch.optim.LBFGS(
        [logits],
        max_iter=3000,
        max_eval=6000,
        tolerance_grad=1e-10,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = parts(batch, Scores(spread(logits.log_softmax(0)), ref)).share
        loss.backward()
        return loss

    search.step(closure)
    return logits.detach().softmax(0)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


INVERTIBLE = [
    name
    for name in registry.names("divergence")
    if registry.component("divergence", name).invertible
    and registry.component("divergence", name).regularises
]


@pytest.mark.parametrize("name", INVERTIBLE)
@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_f_dpo_finds_the_optimum_of_its_own_divergence(name: str, beta: float) -> None:
    divergence = registry.component("divergence", name)()
    found = minimiser(arrow(divergence=divergence, reward=Implicit(beta)))
    close(found, divergence.optimum(REF.log(), REWARD, beta).exp())
    for other in INVERTIBLE:
        if other == name:
            continue
        elsewhere = registry.component("divergence", other)().optimum(REF.log(), REWARD, beta).exp()
        assert (found - elsewhere).abs().max() > 1e-3, f"{name} and {other} have the same optimum"


def test_smaller_parts_keep_their_meaning():
    """alpha at 0.3, and length=penalty as a price per token: the optimum for r - alpha |y|."""
    found = minimiser(arrow(divergence=Alpha(0.3), reward=Implicit(0.8)))
    close(found, Alpha(0.3).optimum(REF.log(), REWARD, 0.8).exp())
    found = minimiser(arrow(length=Penalty(0.2), reward=Implicit(0.8)))
    close(found, ReverseKL().optimum(REF.log(), REWARD - 0.2 * LENGTH, 0.8).exp())


def test_an_explicit_reward_replaces_the_labels():
    """Labels that say the opposite, relabelled by the reward: the optimum is the reward's."""
    batch = population()
    assert batch.prefer_BKK is not None
    batch = dataclasses.replace(batch, prefer_BKK=batch.prefer_BKK.transpose(1, 2))
    close(minimiser(arrow(reward=Explicit(0.7)), batch), ReverseKL().optimum(REF.log(), REWARD, 0.7).exp())
    scaled = ReverseKL().optimum(REF.log(), REWARD / 2, 0.7).exp()
    close(minimiser(arrow(reward=Explicit(0.7, scale=2.0)), batch), scaled)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_ipo_finds_its_own_closed_form(tau: float) -> None:
    """pi proportional to ref exp(P(y beats ref) / tau), arXiv 2310.12036; not DPO's optimum."""
    expected = torch.softmax(REF.log() + (WIN @ REF) / tau, 0)
    close(minimiser(arrow(objective=Squared(tau), reward=Implicit(1.0))), expected)


def test_simpo_without_margin_is_proportional_to_a_power_of_its_length():
    """pi = exp(|y| (r / beta + c)) with c such that it sums to 1."""
    low, high = -20.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        mass = (LENGTH * (REWARD / 2.0 + middle)).exp().sum()
        low, high = (middle, high) if mass < 1 else (low, middle)
    expected = (LENGTH * (REWARD / 2.0 + low)).exp()
    parts: dict[str, Any] = {"length": Mean(), "divergence": NoDivergence(), "reward": Implicit(2.0)}
    close(minimiser(arrow(**parts), free=True), expected)
