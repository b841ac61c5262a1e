"""Metrics on held-out rows, defined as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from xpo.contracts import Batch
from xpo.data.loader import EvalLoader
from xpo.module.off_policy import OffPolicyModule
from xpo.run.metrics import Accumulator, derived
from xpo.run.progress import progress
from xpo.scoring.parts import evaluating


def held_out(module: OffPolicyModule, loader: EvalLoader, probes: Sequence[Batch] | None) -> dict[str, float]:
    """``eval/...``: the mean of every metric over the held-out rows and all ranks.

    ``probes`` are the rows of the objective's whole-step statistic; held-out rows make one step.
    """
    sums = Accumulator()
    with torch.no_grad(), evaluating(module.policy), progress(len(loader), "evaluating") as bar:
        statistics = None if probes is None else module.observe([_here(p, module) for p in probes])
        for batch in loader:
            _, metrics = module.evaluate(_here(batch, module), statistics)
            sums.add_all(metrics)
            bar.advance()
    return prefixed(derived(sums.flush()))


def _here(batch: Batch, module: OffPolicyModule) -> Batch:
    return batch.to(next(module.policy.parameters()).device)


def prefixed(metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"eval/{name}": value for name, value in metrics.items()}
