"""Training on given responses: preference, binary and scalar feedback, lists, demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import OffPolicy, Scores, Steps
from xpo.contracts import Batch, Probes, Step
from xpo.critic.base import Critic
from xpo.module.policy import OptimizerOption, PolicyModule
from xpo.reference.moving import Moving
from xpo.reference.prepared import Prepared
from xpo.run.metrics import Ratio
from xpo.run.preference_metrics import preference_metrics
from xpo.run.ranks import rows_of_all_ranks, stacked
from xpo.scoring.score import Scoring, response_edges
from xpo.scoring.token_statistics import Distributions


class OffPolicyModule(PolicyModule):
    """score -> arrow -> loss. The reference is asked only for rows whose cached log-probs are missing.

    What whole-step statistics remember is in the buffers ``objective_memory`` and ``weighting_memory``.
    ``critic`` is a network that is trained beside the policy, or None.
    """

    objective_memory: Tensor
    weighting_memory: Tensor

    def __init__(
        self,
        policy: Any,
        arrow: OffPolicy,
        scoring: Scoring,
        reference: Prepared,
        optimizer: OptimizerOption,
        total_steps: int,
        critic: Critic | None = None,
    ) -> None:
        super().__init__(policy, optimizer, total_steps)
        self.arrow = arrow
        self.scoring = scoring
        self.reference = reference
        self.critic = critic
        self.average: Moving | None = None
        self.register_buffer("objective_memory", torch.zeros(arrow.objective.memory))
        self.register_buffer("weighting_memory", torch.zeros(arrow.weighting.memory))
        if reference.moving is not None:
            self.moving_reference = reference.moving  # its weights belong into checkpoints
        self._steps = Steps()

    def follow(self, average: Moving) -> None:
        """Let an average of the policy, which plays against it, follow it; it belongs into checkpoints."""
        self.average = average

    def beside(self) -> tuple[Any, float]:
        if self.critic is None:
            return super().beside()
        return self.critic.named_parameters(), self.critic.lr_scale

    def loss(self, batch: Batch) -> Tensor:
        scores = self.scores(batch)
        if batch.probes is not None:
            self._steps = self.settle(batch.probes, (batch, scores.detach()), learn=True)
        loss, metrics = self.evaluate(batch, self._steps, self.sums.wanted, scores)
        self.sums.add_all(metrics)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """After an optimizer step a moving reference follows, a critic's target too.

        Here, and not at the batch's end: callbacks come before the module there, so that a checkpoint of
        this step would lack what follows it, and an evaluation see what was.
        """
        super().optimizer_step(*args, **kwargs)
        step = self.trainer.global_step + 1  # Lightning counts it when this returns
        if self.reference.moving is not None:
            self.reference.moving.follow(step)
        if self.average is not None:
            self.average.follow(step)
        if self.critic is not None:
            self.critic.follow(step)

    def evaluate(
        self, batch: Batch, steps: Steps, measured: bool = True, scores: Scores | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """One batch's share of the objective, and its metrics (not ``measured``: those that cost nothing)."""
        scores = scores or self.scores(batch)
        scored = self.arrow(batch, scores, steps)
        metrics: dict[str, Ratio] = {
            "loss": (scored.share.detach(), batch.weight_B.sum() / batch.totals.rows)
        }
        metrics |= scored.metrics
        if not measured:
            return scored.share, metrics
        reward_BK = scored.reward_BK if self.arrow.reads_reward else None
        known_ref = scores.ref_logp_BKT if self.arrow.given_reference else None
        metrics |= preference_metrics(reward_BK, scores.logp_BKT, known_ref, batch)
        return scored.share, metrics

    def scores(self, batch: Batch) -> Scores:
        """What policy, reference and critic say about a batch, as far as the arrow reads it."""
        logp_BKT, prompt_logp_BP, states = self.scoring.everything(
            self.policy, batch, self.arrow.prompt_edges
        )
        token = self._statistics(batch, states)
        value = {} if self.critic is None else self.critic(batch, states, self.scoring)
        ref_logp_BKT = batch.ref_logp_BKT if batch.ref_logp_BKT is not None else self.reference(batch)
        return Scores(logp_BKT, ref_logp_BKT, prompt_logp_BP, token, value)

    def log_odds(self, batch: Batch) -> Tensor:
        """log_odds_MBKK that i beats j, the difference of their rewards; a policy is one member."""
        return differences(self.arrow.reward_of(batch, self.scores(batch)))[None]

    def _statistics(self, batch: Batch, policy: Distributions) -> dict[str, Tensor]:
        """What is read of next-token distributions, from the pass that gave the log-probabilities."""
        wanted, reference = self.arrow.token_statistics, None
        if any(statistic.needs_reference for statistic in wanted):
            reference = self.reference.distributions(batch, response_edges(batch.packed))
        return self.scoring.statistics(wanted, policy, reference, batch)

    @torch.no_grad()
    def settle(
        self, probes: Probes, own: tuple[Batch, Scores] | None = None, *, learn: bool = False
    ) -> Steps:
        """The whole-step statistics over all probe rows of the step and all ranks.

        ``own``: the batch that carries the probes, scored, for a step that is no more than it. ``learn``:
        what is remembered from step to step takes this step in; an evaluation leaves it as it is.
        """
        arrow = self.arrow
        objective = weighting = None
        rows = {kind: self._scored(probes.__dict__[kind], own) for kind in arrow.statistic_rows}
        if arrow.objective.statistic_rows != "none":
            seen = [(b, arrow.observed(b, s)) for b, s in rows[arrow.objective.statistic_rows]]
            objective = self._step(arrow.objective, seen, self.objective_memory, learn)
        if arrow.weighting.statistic_rows != "none":
            seen = [(b, arrow.weighed(b, s, objective)) for b, s in rows[arrow.weighting.statistic_rows]]
            weighting = self._step(arrow.weighting, seen, self.weighting_memory, learn)
        return Steps(objective, weighting)

    def _scored(
        self, probes: Sequence[Batch] | None, own: tuple[Batch, Scores] | None
    ) -> list[tuple[Batch, Scores]]:
        assert probes is not None, "the loader was not told which rows a statistic reads"
        if not probes:
            assert own is not None
            return [own]
        return [(probe, self.scores(probe)) for probe in probes]

    def _step(self, part: Any, seen: Sequence[tuple[Batch, Tensor]], memory: Tensor, learn: bool) -> Step:
        values_NF = stacked([values_BF for _, values_BF in seen])
        weight_N = torch.cat([batch.weight_B for batch, _ in seen]).to(values_NF.dtype)
        index_N = torch.cat([batch.index_B for batch, _ in seen])
        values_NF, weight_N, index_N = rows_of_all_ranks(values_NF, weight_N, index_N)
        step = Step(values_NF, weight_N, index_N, memory.clone())
        if not part.memory:
            return step
        if learn:
            memory.copy_(part.remember(step))
        return Step(values_NF, weight_N, index_N, memory.clone())


def differences(reward_BK: Tensor) -> Tensor:
    """reward_i - reward_j, BKK."""
    return reward_BK[:, :, None] - reward_BK[:, None, :]
