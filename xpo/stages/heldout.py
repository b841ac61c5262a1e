"""Metrics on held-out rows, defined as in training."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from xpo.arrow import Steps
from xpo.contracts import Batch
from xpo.data.loader import EvalLoader
from xpo.module.off_policy import OffPolicyModule
from xpo.run.metrics import Accumulator, derived
from xpo.run.progress import progress
from xpo.scoring.parts import evaluating


def held_out(module: OffPolicyModule, loader: EvalLoader, probe: Batch | None) -> dict[str, float]:
    """``eval/...``: the mean of every metric over the held-out rows and all ranks.

    ``probe`` carries the rows of whole-step statistics; held-out rows make one step.
    """
    sums = Accumulator()
    with torch.no_grad(), evaluating(module.policy), progress(len(loader), "evaluating") as bar:
        steps = Steps() if probe is None else _settled(module, _here(probe, module))
        for batch in loader:
            _, metrics = module.evaluate(_here(batch, module), steps)
            sums.add_all(metrics)
            bar.advance()
    return prefixed(derived(sums.flush()))


def _settled(module: OffPolicyModule, probe: Batch) -> Steps:
    assert probe.probes is not None
    return module.settle(probe.probes, (probe, module.scores(probe)))


def _here(batch: Batch, module: OffPolicyModule) -> Batch:
    return batch.to(next(module.policy.parameters()).device)


def prefixed(metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"eval/{name}": value for name, value in metrics.items()}
