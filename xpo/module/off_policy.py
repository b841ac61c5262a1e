"""Training on given responses: preference, binary and scalar feedback, lists, demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import OffPolicy
from xpo.contracts import Batch
from xpo.module.policy import OptimizerOption, PolicyModule
from xpo.run.metrics import Ratio
from xpo.run.preference_metrics import preference_metrics
from xpo.run.ranks import sum_over_ranks
from xpo.scoring.score import Scoring

Reference = Callable[[Batch], Tensor]
"""ref_logp_BKT of a batch, without gradient."""


class OffPolicyModule(PolicyModule):
    """score -> arrow -> loss. The reference is asked only for rows whose cached log-probs are missing."""

    def __init__(
        self,
        policy: Any,
        arrow: OffPolicy,
        scoring: Scoring,
        reference: Reference,
        optimizer: OptimizerOption,
        total_steps: int,
    ) -> None:
        super().__init__(policy, optimizer, total_steps)
        self.arrow = arrow
        self.scoring = scoring
        self._reference = reference
        self._statistics: Tensor | None = None

    def loss(self, batch: Batch) -> Tensor:
        if batch.probes is not None:
            self._statistics = self.observe(batch.probes)
        loss, metrics = self.evaluate(batch, self._statistics, self.sums.wanted)
        self.sums.add_all(metrics)
        return loss

    def evaluate(
        self, batch: Batch, statistics: Tensor | None, measured: bool = True
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """One batch's share of the objective, and its metrics (not ``measured``: those that cost nothing)."""
        logp_BKT, prompt_logp_BP, ref_logp_BKT = self.log_probs(batch)
        scored = self.arrow(batch, logp_BKT, ref_logp_BKT, prompt_logp_BP, statistics)
        metrics: dict[str, Ratio] = {
            "loss": (scored.share.detach(), batch.weight_B.sum() / batch.totals.rows)
        }
        metrics |= scored.metrics
        if not measured:
            return scored.share, metrics
        reward_BK = scored.reward_BK if self.arrow.reads_reward else None
        known_ref = ref_logp_BKT if self.arrow.given_reference else None
        metrics |= preference_metrics(reward_BK, logp_BKT, known_ref, batch)
        return scored.share, metrics

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor | None, Tensor]:
        """Policy, prompt (where the arrow wants it) and reference log-probabilities of a batch."""
        prompt_logp_BP = None
        if self.arrow.prompt_edges:
            logp_BKT, prompt_logp_BP = self.scoring.with_prompt(self.policy, batch)
        else:
            logp_BKT = self.scoring(self.policy, batch)
        ref_logp_BKT = batch.ref_logp_BKT if batch.ref_logp_BKT is not None else self._reference(batch)
        return logp_BKT, prompt_logp_BP, ref_logp_BKT

    @torch.no_grad()
    def observe(self, probes: Sequence[Batch]) -> Tensor:
        """The objective's whole-step statistic: its sums over all probe rows of the step and all ranks."""
        total = None
        for probe in probes:
            logp_BKT, _, ref_logp_BKT = self.log_probs(probe)
            part = self.arrow.observe(probe, logp_BKT, ref_logp_BKT)
            total = part if total is None else total + part
        assert total is not None
        return sum_over_ranks(total)
