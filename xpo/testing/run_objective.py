"""An objective run on a toy batch."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from xpo.contracts import Context
from xpo.testing.batches import Toy, toy


def context(objective: Any, t: Toy, **changes: Any) -> Context:
    """Margin 0; the statistic, where one is declared, is that of another batch."""
    statistics = None
    if objective.statistic_rows != "none":
        probe = toy(seed=7).to(t.reward_BK.dtype)
        statistics = objective.observe(probe.reward_BK.abs(), probe.batch)
    return dataclasses.replace(Context(0.0, t.logp_BKT, statistics), **changes)


def loss(objective: Any, t: Toy, **changes: Any) -> Tensor:
    return objective(t.reward_BK, t.batch, context(objective, t, **changes))
