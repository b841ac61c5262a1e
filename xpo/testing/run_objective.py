"""An objective run on a toy batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Context, Step
from xpo.testing.batches import Toy, toy


def step_of(values_BF: Tensor, toy_rows: Toy, memory: int = 0) -> Step:
    """A whole step of these rows, remembered by nothing before."""
    batch = toy_rows.batch
    return Step(values_BF, batch.weight_B, batch.index_B, torch.zeros(memory, dtype=values_BF.dtype))


def step(objective: Any, t: Toy) -> Step | None:
    """The statistic of the whole step that ``t`` is, or of mismatched rows that are another batch."""
    if objective.statistic_rows == "none":
        return None
    rows = t
    if objective.statistic_rows == "mismatched":
        other = toy(seed=7).to(t.reward_BK.dtype)
        rows = dataclasses.replace(other, reward_BK=other.reward_BK.abs())
    found = step_of(objective.observe(rows.reward_BK, rows.batch), rows, objective.memory)
    return dataclasses.replace(found, memory=objective.remember(found)) if objective.memory else found


def context(objective: Any, t: Toy, whole: Toy | None = None, **changes: Any) -> Context:
    """Margin 0. ``whole``: the step that ``t`` is a part of, if it is not all of it."""
    token = {s.name: t.token_BKT(s.name) for s in objective.token_statistics}
    value = {name: t.value(name) for name in objective.critic}
    seen = step(objective, whole if whole is not None else t)
    made = Context(0.0, t.logp_BKT, seen, beta=0.7, token=token, value=value)
    return dataclasses.replace(made, **changes)


def loss(objective: Any, t: Toy, whole: Toy | None = None, **changes: Any) -> Tensor:
    return objective(t.reward_BK, t.batch, context(objective, t, whole, **changes))
