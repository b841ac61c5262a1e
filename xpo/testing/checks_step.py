"""What objectives that read statistics of the whole optimizer step must keep to."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from xpo.testing.batches import toy
from xpo.testing.run_objective import context, observed, step_of
from xpo.testing.run_objective import loss as loss_of
from xpo.testing.tools import differ, require, same


def statistic_is_a_sum_without_gradient(objective: Any) -> None:
    if objective.statistic_rows == "none":
        return
    t = toy()
    leaf = t.reward_BK.clone().requires_grad_()
    whole = observed(objective, dataclasses.replace(t, reward_BK=leaf))
    require(not whole.requires_grad, "the statistic carries a gradient")
    require(whole.dim() == 2 and len(whole) == 4, f"observe gives {tuple(whole.shape)} for 4 rows, not BF")
    parts = [observed(objective, t.rows([b])) for b in range(4)]
    same(torch.cat(parts), whole, "what is observed in a row depends on the others")
    garbage = dataclasses.replace(t, reward_BK=t.reward_BK.masked_fill(~t.batch.present_BK, torch.nan))
    same(observed(objective, garbage), whole, "the statistic reads responses that are not there")
    larger = dataclasses.replace(t, reward_BK=t.reward_BK.abs() * 3)
    other = step_of(objective, larger)
    differ(loss_of(objective, t), loss_of(objective, t, step=other), "the statistic changes nothing")


def memory_is_of_steps_before(objective: Any) -> None:
    if not objective.memory:
        return
    t, before = toy(), toy(seed=5)
    steps = [step_of(objective, t), step_of(objective, t, before)]
    for found in steps:
        assert found.memory is not None
        require(found.memory.shape == (objective.memory,), f"memory={objective.memory} is not so")
        require(bool(torch.isfinite(found.memory).all()), "the memory is not finite")
    values = [loss_of(objective, t, step=found) for found in steps]
    differ(values[0], values[1], "what is remembered changes nothing")


def declares_reads_reference(objective: Any) -> None:
    t = toy()
    other = dataclasses.replace(t, ref_logp_BKT=2 * t.ref_logp_BKT)
    if objective.reads_reference:
        differ(loss_of(objective, t), loss_of(objective, other), "reads_reference=True, but it is not read")
    else:
        bare = context(objective, t, reference_BK=None)
        same(objective(t.reward_BK, t.batch, bare), loss_of(objective, t), "reads_reference=False is not so")


def declares_coupled(objective: Any) -> None:
    """A step that holds every row twice is the same distribution."""
    if not objective.coupled:
        return
    require(
        objective.statistic_rows == "step", "coupled=True, but nothing is observed in the step's own rows"
    )
    t = toy()
    twice = t.rows([0, 1, 2, 3, 0, 1, 2, 3]).replace(index_B=torch.arange(8))
    mean = loss_of(objective, twice).view(2, 4).mean(0)  # two like rows may share their matches unevenly
    same(mean, loss_of(objective, t), "a step's loss is not that of the distribution of its rows")


CHECKS = (
    statistic_is_a_sum_without_gradient,
    memory_is_of_steps_before,
    declares_reads_reference,
    declares_coupled,
)
