"""The optimum of scores explained by a learnt value: minimised here in a table, policy and V jointly."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.gold.test_target import composed
from xpo.contracts import Context
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.gold.evaluate import target_metrics, world_batch
from xpo.gold.labels import LabelModel
from xpo.gold.rows import Wanted, population_rows
from xpo.gold.target import kl, population_target
from xpo.gold.world import World
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.objective.value_regression import ValueRegression
from xpo.reward.implicit import Implicit


def parts_of(**changed: Any) -> Any:
    return composed(**({"objective": ValueRegression(), "reward": Implicit(0.4)} | changed))


def fitted(world: World, ref: Tensor, parts: Any, values: Tensor | None = None) -> Tensor:
    """log pi of a table with its V learnt, or held at ``values``, under the paper's square."""
    logits, value_X = ref.clone().requires_grad_(), torch.zeros(world.prompts, dtype=torch.float64)
    batch = population(world, ref)
    leaves = [logits]
    if values is None:
        leaves.append(value_X.requires_grad_())
    else:
        value_X = values
    search = torch.optim.LBFGS(
        leaves,
        max_iter=4000,
        max_eval=8000,
        tolerance_grad=1e-11,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    scale = 1.0 / world.length_N.double() if parts.length.averages else 1.0

    def closure() -> Tensor:
        search.zero_grad()
        ratio = (logits.log_softmax(1) - ref) * scale
        offset = parts.length.offset(batch.mask_BKT).double()
        reward = parts.reward.beta * parts.divergence.link(ratio) + offset
        # what is trained has this square's gradients, the policy's divided by tau: they vanish together
        plain = (batch.share_BK * (batch.score_BK - value_X[:, None] - reward).square()).sum() / 2
        plain.backward()
        return plain

    search.step(closure)
    return logits.detach().log_softmax(1)


def population(world: World, ref: Tensor) -> Any:
    rows = population_rows(world, ref, Wanted(frozenset({"scores"})))
    assert all(row.prefer is row.good is row.demo is row.wins is None for row in rows)
    batch = world_batch(world)
    return dataclasses.replace(
        batch,
        score_BK=torch.tensor([row.scores for row in rows], dtype=torch.float64),
        mass_BK=torch.tensor([row.mass for row in rows], dtype=torch.float64),
    )


CASES = {
    "reverse KL": {},
    "jensen-shannon": {"divergence": JensenShannon(), "reward": Implicit(1.0)},
    "a price per token": {"length": Penalty(alpha=0.2)},
    "mean length": {"length": Mean()},
}


@pytest.mark.parametrize("case", CASES)
def test_table_and_value_find_the_target(world: World, ref: Tensor, case: str) -> None:
    parts = parts_of(**CASES[case])
    target = population_target(world, ref, parts)
    assert target is not None
    found = fitted(world, ref, parts)
    assert kl(target.logp_XN, found) < 1e-8
    if target.divergence is not None:
        assert target_metrics(found, ref, target)["gold/gap_closed"] == pytest.approx(1.0, abs=1e-6)


def test_the_target_is_the_tilted_reference(world: World, ref: Tensor) -> None:
    target = population_target(world, ref, parts_of())
    assert target is not None and isinstance(target.divergence, ReverseKL)
    tilted = ref + world.reward_XN / 0.4
    assert torch.allclose(target.logp_XN, tilted - tilted.logsumexp(1, keepdim=True), atol=1e-9)


def test_the_trained_loss_stands_still_at_the_target(world: World, ref: Tensor) -> None:
    """The objective itself, V at tau log Z: no gradient for either. At another V there is one."""
    parts = parts_of()
    target = population_target(world, ref, parts)
    assert target is not None
    best_X = 0.4 * (ref + world.reward_XN / 0.4).logsumexp(1)
    for off, still in ((0.0, True), (0.3, False)):
        logits, value = target.logp_XN.clone().requires_grad_(), (best_X + off).requires_grad_()
        reward = 0.4 * (logits.log_softmax(1) - ref)
        context = Context(beta=0.4, value={"prompt_value_B": value})
        ValueRegression()(reward, population(world, ref), context).sum().backward()
        assert value.grad is not None
        assert (float(value.grad.abs().max()) < 1e-9) == still


def test_a_value_that_is_held_misses_the_target(world: World, ref: Tensor) -> None:
    parts = parts_of()
    target = population_target(world, ref, parts)
    assert target is not None
    mean = (ref.exp() * world.reward_XN).sum(1)
    held = fitted(world, ref, parts, values=mean)
    assert target_metrics(held, ref, target)["gold/gap_closed"] < 0.97


def test_scores_of_noisy_labellers_shrink(world: World, ref: Tensor) -> None:
    """They are right 0.8 of the time and turned round 0.2 of it; the optimum is that of 0.6 r."""
    labels = LabelModel(noise=0.2).of_world(world, ref)
    (noisy, *_) = population_rows(world, ref, Wanted(frozenset({"scores"})), labels)
    assert list(noisy.scores or ()) == pytest.approx([0.6 * r for r in world.reward_XN[0].tolist()])
    target = population_target(world, ref, parts_of(), labels)
    assert target is not None
    tilted = torch.log_softmax(ref + 0.6 * world.reward_XN / 0.4, 1)
    torch.testing.assert_close(target.logp_XN, tilted, rtol=0, atol=1e-9)
