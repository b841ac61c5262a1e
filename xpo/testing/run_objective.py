"""An objective run on a toy batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Context, Step, masked
from xpo.testing.batches import Toy, toy

BETA = 0.7


def observed(objective: Any, t: Toy) -> Tensor:
    """What the objective takes from these rows into its whole-step statistic."""
    return objective.observe(t.reward_BK, t.batch, _context(objective, t))


def step_of(objective: Any, t: Toy, before: Toy | None = None) -> Step:
    """The step that these rows are all of, after the one that ``before`` was."""
    dtype = t.reward_BK.dtype
    memory = torch.zeros(objective.memory, dtype=dtype)
    if before is not None:
        memory = step_of(objective, before.to(dtype)).memory
    step = Step(observed(objective, t), t.batch.weight_B, t.batch.index_B, memory)
    return dataclasses.replace(step, memory=objective.remember(step)) if objective.memory else step


def step(objective: Any, t: Toy) -> Step | None:
    """The statistic of the whole step that ``t`` is, or of mismatched rows that are another batch."""
    if objective.statistic_rows == "none":
        return None
    rows = t
    if objective.statistic_rows == "mismatched":
        other = toy(seed=7).to(t.reward_BK.dtype)
        rows = dataclasses.replace(other, reward_BK=other.reward_BK.abs())
    return step_of(objective, rows, before=toy(seed=5))


def context(objective: Any, t: Toy, whole: Toy | None = None, **changes: Any) -> Context:
    """Margin 0. ``whole``: the step that ``t`` is a part of, if it is not all of it."""
    if "step" not in changes:
        changes["step"] = step(objective, whole if whole is not None else t)
    return dataclasses.replace(_context(objective, t), **changes)


def _context(objective: Any, t: Toy) -> Context:
    token = {s.name: t.token_BKT(s.name) for s in objective.token_statistics}
    value = {name: t.value(name) for name in objective.critic}
    reference_BK = BETA * masked(t.ref_logp_BKT, t.batch.mask_BKT).sum(-1)
    return Context(0.0, t.logp_BKT, beta=BETA, token=token, value=value, reference_BK=reference_BK)


def loss(objective: Any, t: Toy, whole: Toy | None = None, **changes: Any) -> Tensor:
    return objective(t.reward_BK, t.batch, context(objective, t, whole, **changes))
