"""Training on rollouts: the policy's own samples, scored before the first update."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import Scores, Steps
from xpo.contracts import Batch, masked
from xpo.module.off_policy import OffPolicyModule
from xpo.on_policy.arrow import OnPolicy
from xpo.on_policy.experience import Experience
from xpo.run.metrics import Ratio
from xpo.scoring.parts import evaluating


class OnPolicyModule(OffPolicyModule):
    """score -> advantages of the whole rollout -> policy loss, and what is imitated beside it.

    ``penalty_scale`` is the adaptive multiple of beta; ``stopped`` the rollout that was left early.
    """

    arrow: OnPolicy  # pyright: ignore[reportIncompatibleVariableOverride]
    penalty_scale: Tensor
    stopped: Tensor

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.register_buffer("penalty_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("stopped", torch.zeros((), dtype=torch.bool))

    def loss(self, batch: Batch) -> Tensor:
        share = super().loss(batch)
        if batch.beside is not None:
            share = share + self._imitated(batch.beside)
        return share

    def evaluate(
        self, batch: Batch, steps: Steps, measured: bool = True, scores: Scores | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """One micro-batch's share of the loss, and its metrics."""
        scores = scores or self.scores(batch)
        scored = self.arrow(batch, scores, steps, float(self.penalty_scale))
        metrics: dict[str, Ratio] = {
            "loss": (scored.share.detach(), batch.weight_B.sum() / batch.totals.rows)
        }
        share = self._unless_far(scored.share, scored.metrics["policy/kl_to_old"])
        return share, metrics | scored.metrics

    def _unless_far(self, share: Tensor, kl: Ratio) -> Tensor:
        """Nothing of a rollout is trained on once the policy is too far from who sampled it."""
        limit = self.arrow.objective.stop_kl
        if limit is None:
            return share
        self.stopped |= kl[0] > limit * kl[1]
        self.sums.add("policy/stopped", self.stopped.float())
        return share * (~self.stopped)

    def _imitated(self, batch: Batch) -> Tensor:
        """The share of the likelihood of demonstrations, which come in rows of their own."""
        logp_BKT, prompt_logp_BP, _ = self.scoring.everything(self.policy, batch, self.arrow.prompt_edges)
        above, below = self.arrow.sft.term(logp_BKT, prompt_logp_BP, batch)
        likelihood = above / below
        self.sums.add("nll_loss", likelihood.detach(), batch.weight_B.sum() / batch.totals.rows)
        return self.arrow.sft.weight * likelihood

    @torch.no_grad()
    def prepare(
        self, batches: Sequence[Batch], scores_NK: Tensor, part_NKT: Tensor | None, sampler_NKT: Tensor
    ) -> Experience:
        """What a rollout's tokens earned and how much better than expected that is.

        ``batches`` hold all its rows, by ``index_B``; ``part_NKT`` is what was said of single tokens,
        ``sampler_NKT`` what the sampler says of their log-probabilities.
        """
        self.stopped.zero_()
        known = self._scored(batches, sampler_NKT.shape)
        mask_NKT, old_NKT, ref_NKT = known["mask"] > 0, known["old"], known["ref"]
        ratio_NKT = self.arrow.ratio(old_NKT, ref_NKT, mask_NKT)
        earned_NKT = self.arrow.earned(scores_NK, part_NKT, mask_NKT)
        penalty_NKT, own_NKT = self.arrow.penalised(ratio_NKT, mask_NKT, float(self.penalty_scale))
        value_NKT = known.get("value")
        reward_NKT = earned_NKT + penalty_NKT
        found = self.arrow.estimate(reward_NKT, own_NKT, value_NKT, mask_NKT)
        self._tell(scores_NK, mask_NKT, ratio_NKT, (old_NKT, sampler_NKT))
        fitted = self.arrow.critic.fits_returns
        return Experience(
            old_logp=old_NKT,
            ref_logp=ref_NKT,
            advantage=found.advantage_BKT,
            reward=reward_NKT,
            value=value_NKT if fitted else None,
            returns=found.return_BKT if fitted else None,
            sampler_logp=sampler_NKT,
        )

    def _scored(self, batches: Sequence[Batch], shape: Sequence[int]) -> dict[str, Tensor]:
        """Log-probabilities and values of all rows, N x K x T."""
        found: dict[str, Tensor] = {}
        with evaluating(self.policy):
            for batch in batches:
                scores = self.scores(batch)
                said = {"old": scores.logp_BKT, "ref": scores.ref_logp_BKT, "mask": batch.mask_BKT.float()}
                if "value_BKT" in scores.value:
                    said["value"] = scores.value["value_BKT"]
                for name, value_BKT in said.items():
                    table = found.setdefault(name, value_BKT.new_zeros(tuple(shape)))
                    _, size, width = value_BKT.shape
                    table[batch.index_B, :size, :width] = masked(value_BKT.detach(), batch.mask_BKT)
        return found

    def _tell(
        self, scores_NK: Tensor, mask_NKT: Tensor, ratio_NKT: Tensor, logps: tuple[Tensor, Tensor]
    ) -> None:
        """Log what the rollout was like, and how far sampler and scoring pass are apart."""
        tokens, present_NK = mask_NKT.sum(), mask_NKT.any(-1)
        count = present_NK.sum().float()
        gap_NKT = masked((logps[0] - logps[1]).abs(), mask_NKT)
        self.sums.add("rollout/score", masked(scores_NK, present_NK).sum(), count)
        self.sums.add("rollout/length", tokens.float(), count)
        self.sums.add("rollout/log_ratio", ratio_NKT.sum(), count)
        self.sums.add("rollout/sampler_gap", gap_NKT.sum(), tokens.float())
        if self.arrow.given_reference:
            divergence_NK = self.arrow.divergence.value(ratio_NKT.sum(-1))
            self.sums.add("rollout/divergence", masked(divergence_NK, present_NK).sum(), count)
            observed = float(ratio_NKT.sum() / count)
            if self.arrow.penalty.in_reward:
                scale = self.arrow.penalty.adapted(float(self.penalty_scale), observed, int(count))
                self.penalty_scale.fill_(scale)
                self.sums.add("rollout/penalty_scale", self.penalty_scale)


def with_reference(batch: Batch) -> Batch:
    """The batch with the reference's log-probabilities that its rollout has."""
    return dataclasses.replace(batch, ref_logp_BKT=batch.experience.ref_logp)
