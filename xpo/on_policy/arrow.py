"""The on-policy arrow: scores of samples to rewards on tokens to advantages to one loss. Pure tensors.

score - length offset, placed on tokens, + beta x penalty -> reward_BKT -> advantage_BKT -> policy loss_BKT
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.on_policy.experience import Experience
from xpo.scored import Ratio, Scored, Scores, Steps
from xpo.scoring.token_statistics import Entropy, TokenStatistic


@dataclass(frozen=True)
class Stream:
    """What tokens earned (or cost), what each counts for itself alone, and what a critic had expected."""

    reward_BKT: Tensor
    own_BKT: Tensor
    value_BKT: Tensor | None = None


@dataclass(frozen=True)
class Credit:
    """Advantages, and what critics of rewards and costs learn."""

    advantage_BKT: Tensor
    return_BKT: Tensor | None
    cost_return_BKT: Tensor | None


@dataclass(frozen=True)
class OnPolicy:
    """One component per axis that a policy gradient reads, in the order in which they act."""

    reward: Any
    reward_level: Any
    length: Any
    divergence: Any
    penalty: Any
    polarity: Any
    advantage: Any
    constraint: Any
    policy_loss: Any
    critic: Any
    objective: Any
    reduce: Any
    sft: Any
    weighting: Any
    given_reference: bool = True

    @classmethod
    def of(cls, parts: Any, given_reference: bool) -> OnPolicy:
        """From anything that has the groups as attributes, such as a Composition."""
        groups = [field.name for field in fields(cls) if field.name != "given_reference"]
        return cls(**{group: getattr(parts, group) for group in groups}, given_reference=given_reference)

    reads_reward: ClassVar[bool] = False
    statistic_rows: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[str]] = frozenset()  # of rows that are given: there are none

    @property
    def prompt_edges(self) -> bool:
        """Whether the prompt's own tokens must be scored."""
        return self.sft.reads_prompt

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        """What is read of next-token distributions."""
        return (Entropy(),) if self.objective.entropy else ()

    def ratio(self, logp_BKT: Tensor, ref_logp_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """The log-ratio of each token."""
        return masked(logp_BKT - ref_logp_BKT, mask_BKT)

    def earned(self, score_BK: Tensor, part_BKT: Tensor | None, mask_BKT: Tensor) -> Tensor:
        """reward_BKT of the scorer alone: at the last token, or where parts end; less the length's price."""
        offset_BK = self.length.offset(mask_BKT).to(score_BK.dtype)
        if part_BKT is not None:
            return masked(self.reward.score(part_BKT), mask_BKT) - offset_BK[..., None] * last(mask_BKT)
        return (self.reward.score(score_BK) - offset_BK)[..., None] * last(mask_BKT)

    def distance(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """The divergence from the reference, as the penalty has it (of responses or of tokens), summed."""
        if self.penalty.per_token:
            return masked(self.divergence.value(log_ratio_BKT), mask_BKT).sum()
        value_BK = self.divergence.value(masked(log_ratio_BKT, mask_BKT).sum(-1))
        return masked(value_BK, mask_BKT.any(-1)).sum()

    def penalised(self, log_ratio_BKT: Tensor, mask_BKT: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """reward_BKT and own_BKT of the divergence, times beta; zeros where it acts in the loss."""
        if not self.penalty.in_reward:
            return torch.zeros_like(log_ratio_BKT), torch.zeros_like(log_ratio_BKT)
        reward_BKT, own_BKT = self.penalty.terms(self.divergence, log_ratio_BKT, mask_BKT)
        beta = self.reward.beta * scale
        return beta * reward_BKT, beta * own_BKT

    def estimate(self, reward: Stream, cost: Stream | None, state: Tensor, mask_BKT: Tensor) -> Credit:
        """Advantages of the whole rollout, as the polarity leaves them.

        ``cost``: the second stream of a constraint, whose state ``state`` is; the two are mixed, then scaled.
        """
        found = self.advantage(reward.reward_BKT, reward.value_BKT, mask_BKT, reward.own_BKT, cost is None)
        if cost is None:
            return Credit(self.polarity.advantage(found.advantage_BKT), found.return_BKT, None)
        other = self.advantage(cost.reward_BKT, cost.value_BKT, mask_BKT, cost.own_BKT, False)
        mixed_BKT = self.constraint.mixed(found.advantage_BKT, other.advantage_BKT, state)
        earned_BKT = self.constraint.mixed(reward.reward_BKT, cost.reward_BKT, state)
        advantage_BKT = self.advantage.rescaled(mixed_BKT, earned_BKT, mask_BKT)
        return Credit(self.polarity.advantage(advantage_BKT), found.return_BKT, other.return_BKT)

    def __call__(self, batch: Batch, scores: Scores, steps: Steps = Steps(), scale: float = 1.0) -> Scored:  # noqa: B008 (frozen)
        """One micro-batch's share of the loss. ``scale`` is the multiple of beta that holds the rollout."""
        known: Experience = batch.experience
        mask_BKT = batch.mask_BKT
        loss_BKT = self.policy_loss(scores.logp_BKT, known.old_logp, known.advantage, mask_BKT)
        if self.objective.truncation is not None:
            loss_BKT = loss_BKT * self._drawn(known, mask_BKT)
        counted = batch.by_scores()
        metrics = self._metrics(batch, scores, known, loss_BKT)
        if self.penalty.in_loss:
            log_ratio_BKT = self.ratio(scores.logp_BKT, known.ref_logp, mask_BKT)
            beta = self.reward.beta * scale
            loss_BKT = loss_BKT + beta * self.penalty.loss(self.divergence, log_ratio_BKT, mask_BKT)
        if self.objective.entropy:
            loss_BKT = loss_BKT - self.objective.entropy * masked(scores.token["entropy"], mask_BKT)
        share = self.sft.preference_weight * self._reduced(loss_BKT, counted)
        if known.returns is not None:
            value, told = self._values(scores, known, counted)
            share, metrics = share + value, metrics | told
        return Scored(share, known.reward.sum(-1), metrics)

    def _drawn(self, known: Experience, mask_BKT: Tensor) -> Tensor:
        """How much likelier the policy found each token than who sampled it, cut."""
        assert known.sampler_logp is not None
        ratio_BKT = masked(known.old_logp - known.sampler_logp, mask_BKT).exp()
        return ratio_BKT.clamp(max=self.objective.truncation)

    def _values(self, scores: Scores, known: Experience, batch: Batch) -> tuple[Tensor, dict[str, Ratio]]:
        """The critics' share of the loss."""
        sides = {"value": (known.value, known.returns), "cost_value": (known.cost_value, known.cost_returns)}
        share, losses = torch.zeros((), device=batch.mask_BKT.device), {}
        for name, (old_BKT, return_BKT) in sides.items():
            if old_BKT is None or return_BKT is None:
                continue
            loss_BKT = self.critic.loss(scores.value[f"{name}_BKT"], old_BKT, return_BKT)
            share = share + self.critic.weight * self._tokens(loss_BKT, batch)
            losses[f"{name}_loss"] = loss_BKT
        return share, self._weighed(losses, batch)

    def _reduced(self, loss_BKT: Tensor, batch: Batch) -> Tensor:
        loss_BK = self.reduce.of_tokens(loss_BKT, batch.mask_BKT)
        numerator, denominator = self.reduce((batch.share_BK * loss_BK).sum(1), batch)
        return numerator / denominator

    def _tokens(self, loss_BKT: Tensor, batch: Batch) -> Tensor:
        """The mean over the tokens of the step, however the policy's loss is reduced."""
        loss_B = (batch.share_BK * masked(loss_BKT, batch.mask_BKT).sum(-1)).sum(1)
        return (batch.weight_B * loss_B).sum() / batch.totals.tokens

    def _weighed(self, values: dict[str, Tensor], batch: Batch) -> dict[str, Ratio]:
        """Means over tokens."""
        live_BKT = batch.mask_BKT & (batch.weight_B > 0)[:, None, None]
        count = live_BKT.sum().float()
        return {name: (masked(value.detach(), live_BKT).sum(), count) for name, value in values.items()}

    def _metrics(self, batch: Batch, scores: Scores, known: Experience, loss_BKT: Tensor) -> dict[str, Ratio]:
        """What is logged of the policy's loss: of tokens and of responses that count."""
        live_BKT = batch.mask_BKT & (batch.weight_B > 0)[:, None, None]
        logp_BKT = scores.logp_BKT.detach()
        moved_BKT = known.old_logp - logp_BKT
        part = batch.weight_B.sum() / batch.totals.rows
        metrics: dict[str, Ratio] = {
            "policy_loss": (self._reduced(loss_BKT.detach(), batch.by_scores()), part),
        }
        tokens = {
            "policy/kl_to_old": torch.expm1(-moved_BKT) + moved_BKT,
            "policy/advantage_size": known.advantage.abs(),
        }
        if scores.token:
            tokens["policy/entropy"] = scores.token["entropy"]
        return (
            metrics
            | self._weighed(tokens, batch)
            | self.policy_loss.metrics(logp_BKT, known.old_logp, known.advantage, live_BKT)
        )


def last(mask_BKT: Tensor) -> Tensor:
    """1 at each response's last token, 0 elsewhere."""
    after_BKT = mask_BKT.flip(-1).cumsum(-1).flip(-1)
    return (mask_BKT & (after_BKT == 1)).to(torch.float32)
