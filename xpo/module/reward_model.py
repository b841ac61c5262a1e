"""Training of reward and preference models: a head's scores in place of log-ratios, in the same arrow."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import Scores, Steps
from xpo.contracts import Batch
from xpo.module.off_policy import OffPolicyModule, differences
from xpo.reward_model.heads import Opinion, RewardHead
from xpo.reward_model.read import features_of, pair_features
from xpo.run.metrics import Ratio
from xpo.run.preference_metrics import preference_metrics
from xpo.scoring.parts import output_head
from xpo.scoring.score import response_edges
from xpo.scoring.states import TokenStates, token_states
from xpo.scoring.token_statistics import Distributions


class RewardModule(OffPolicyModule):
    """read -> head -> arrow -> loss; log-probabilities are zeros but for a likelihood that is merged.

    Members of a head are trained by the same loss, each on its own half of the rows (weights 2 and 0, so that
    the mean stays); their mean is what is measured.
    """

    def __init__(self, *settings: Any, head: RewardHead, lr_scale: float) -> None:
        super().__init__(*settings)
        self.head = head
        self._lr_scale = lr_scale

    def beside(self) -> tuple[Any, float]:
        return self.head.named_parameters(prefix="head"), self._lr_scale

    def scores(self, batch: Batch) -> Scores:
        feature, states = self._read(batch)
        members = self.head(feature, batch.present_BK)
        logp_BKT, prompt_logp_BP = self._imitated(states, batch)
        ref_BKT = torch.zeros_like(logp_BKT)
        return Scores(logp_BKT, ref_BKT, prompt_logp_BP, opinion=_mean(members), members=members)

    def log_odds(self, batch: Batch) -> Tensor:
        scores = self.scores(batch)
        return torch.stack(
            [
                differences(self.arrow.reward_of(batch, dataclasses.replace(scores, opinion=opinion)))
                if opinion.log_odds_BKK is None
                else opinion.log_odds_BKK
                for opinion in scores.members
            ]
        )

    def _read(self, batch: Batch) -> tuple[Tensor, TokenStates | None]:
        """What the head says, and the states of single responses where they are read."""
        together, states = self.arrow.reward.together, None
        if not together or self.arrow.sft.merges:
            states = token_states(self.scoring, self.policy, batch)
        if together or states is None:
            return pair_features(self.policy, self.head, self.scoring, batch), states
        return features_of(states, self.head, self.arrow, batch), states

    def _imitated(self, states: TokenStates | None, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities where a likelihood is trained beside the head, else zeros."""
        if states is None or not self.arrow.sft.merges:
            return batch.weight_B.new_zeros(batch.mask_BKT.shape, dtype=torch.float32), None
        prompt = self.arrow.prompt_edges
        span = slice(None) if prompt else response_edges(batch.packed)
        found = Distributions(states.hidden_SD[states.edge_E[span]], output_head(self.policy))
        return self.scoring.logps(found, batch, prompt)

    def evaluate(
        self, batch: Batch, steps: Steps, measured: bool = True, scores: Scores | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """One batch's share of the objective, and its metrics."""
        scores = scores or self.scores(batch)
        scored = [
            self.arrow(self._half(batch, number), dataclasses.replace(scores, opinion=opinion), steps)
            for number, opinion in enumerate(scores.members)
        ]
        share = torch.stack([member.share for member in scored]).mean()
        metrics: dict[str, Ratio] = {"loss": (share.detach(), batch.weight_B.sum() / batch.totals.rows)}
        metrics |= scored[0].metrics if len(scored) == 1 else {}
        if measured:
            reward_BK = torch.stack([member.reward_BK for member in scored]).mean(0)
            assert scores.opinion is not None
            logp_BKT = scores.logp_BKT if self.arrow.sft.merges else None
            metrics |= preference_metrics(reward_BK, logp_BKT, None, batch, scores.opinion.log_odds_BKK)
            if len(scored) > 1:
                metrics["rewards/disagreement"] = _disagreement(scores.members, batch)
        return share, metrics

    def _half(self, batch: Batch, member: int) -> Batch:
        """Half of the rows, the same ones in every epoch; all where nothing is trained or nobody compared."""
        if self.head.members == 1 or not self.policy.training:
            return batch
        return dataclasses.replace(batch, weight_B=batch.weight_B * 2 * _coin(batch.index_B, member))


def _coin(index_B: Tensor, member: int) -> Tensor:
    """0 or 1 by a hash of row and member."""
    x_B = index_B * 0x9E3779B1 + (member + 1) * 0x85EBCA77
    x_B = (x_B ^ (x_B >> 15)) * 0x2C1B3C6D & 0xFFFFFFFF
    return ((x_B ^ (x_B >> 12)) * 0x297A2D39 >> 15) & 1


def _mean(members: tuple[Opinion, ...]) -> Opinion:
    if len(members) == 1:
        return members[0]
    return Opinion(torch.stack([member.reward_BK for member in members]).mean(0))


def _disagreement(members: tuple[Opinion, ...], batch: Batch) -> Ratio:
    """The standard deviation over members of a response's score, each prompt's mean taken off."""
    reward_MBK = torch.stack([member.reward_BK.detach() for member in members])
    present_BK = batch.present_BK & (batch.weight_B > 0)[:, None]
    count_B1 = present_BK.sum(1, keepdim=True).clamp(min=1)
    centred_MBK = reward_MBK - (reward_MBK * present_BK).sum(-1, keepdim=True) / count_B1
    return (centred_MBK.std(0) * present_BK).sum(), present_BK.sum().float()
