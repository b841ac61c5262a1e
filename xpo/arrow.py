"""The off-policy arrow: log-probabilities to one loss, through the axes. Pure tensors, no trainer.

logp, ref_logp -> log_ratio_BKT -> pool and link -> x beta, + offset -> reward_BK -> objective -> loss_B
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.divergence.base import beyond_limit

Ratio = tuple[Tensor, Tensor | float]
"""A metric before it is reduced: numerator and denominator."""


@dataclass(frozen=True)
class Scored:
    """One micro-batch. The shares of all micro-batches and ranks *sum* to the objective."""

    share: Tensor
    reward_BK: Tensor
    metrics: dict[str, Ratio]


@dataclass(frozen=True)
class OffPolicy:
    """One component per axis that the loss reads, in the order in which they act.

    ``given_reference``: whether ref_logp is a reference's, or the zeros of reference=none.
    """

    length: Any
    divergence: Any
    reward_level: Any
    reward: Any
    reward_form: Any
    polarity: Any
    margin: Any
    objective: Any
    reduce: Any
    sft: Any
    given_reference: bool = True

    def __post_init__(self) -> None:
        if self.objective.explicit_reward and not self.reward.relabels:
            raise ValueError(f"{type(self.objective).__name__} reads scores: it needs reward=explicit")

    @classmethod
    def of(cls, parts: Any, given_reference: bool) -> OffPolicy:
        """From anything that has the groups as attributes, such as a Composition."""
        groups = [field.name for field in fields(cls) if field.name != "given_reference"]
        return cls(**{group: getattr(parts, group) for group in groups}, given_reference=given_reference)

    @property
    def reads_reward(self) -> bool:
        """False for a likelihood alone."""
        return self.objective.reads_reward

    @property
    def prompt_edges(self) -> bool:
        """Whether the prompt's own tokens must be scored."""
        return self.sft.reads_prompt

    @property
    def needs(self) -> frozenset[str]:
        """The feedback that rows must carry (of contracts.FEEDBACK)."""
        labels = frozenset({self.reward_form.reads}) if self.relabels else frozenset()
        return self.objective.needs | self.sft.needs | labels

    @property
    def relabels(self) -> bool:
        """Whether comparisons are replaced by a scorer's."""
        return self.reward.relabels and "comparisons" in self.objective.needs

    def rewards(self, batch: Batch, logp_BKT: Tensor, ref_logp_BKT: Tensor) -> Tensor:
        """reward_BK = beta link(pooled log-ratio) + length offset; absent responses have 0."""
        log_ratio_BKT = masked(logp_BKT - ref_logp_BKT, batch.mask_BKT)
        linked_BK = self.reward_level.apply(self.divergence, self.length, log_ratio_BKT, batch.mask_BKT)
        return self.reward(linked_BK) + self.length.offset(batch.mask_BKT).to(linked_BK.dtype)

    def observe(self, batch: Batch, logp_BKT: Tensor, ref_logp_BKT: Tensor) -> Tensor:
        """Sums of the objective's whole-step statistic over one batch of probe rows, to be added up."""
        return self.objective.observe(self.rewards(batch, logp_BKT, ref_logp_BKT), batch)

    def losses(
        self, batch: Batch, reward_BK: Tensor, logp_BKT: Tensor, statistics: Tensor | None = None
    ) -> Tensor:
        """loss_B of the objective alone, not weighted and not reduced."""
        if self.relabels:
            batch = self.reward.relabelled(batch, self.reward_form)
        if self.objective.explicit_reward:
            batch = self.reward.scaled(batch)
        margin = self.margin(batch, self.reward.beta)
        context = Context(margin, logp_BKT, statistics, self.polarity.roles)
        return self.objective(reward_BK, batch, context)

    def __call__(
        self,
        batch: Batch,
        logp_BKT: Tensor,
        ref_logp_BKT: Tensor,
        prompt_logp_BP: Tensor | None = None,
        statistics: Tensor | None = None,
    ) -> Scored:
        """The whole arrow for one micro-batch."""
        reward_BK = self.rewards(batch, logp_BKT, ref_logp_BKT)
        numerator, denominator = self.reduce(self.losses(batch, reward_BK, logp_BKT, statistics), batch)
        objective = numerator / denominator
        share = self.sft.preference_weight * objective
        part = batch.weight_B.sum() / batch.totals.rows
        metrics: dict[str, Ratio] = {"objective": (objective.detach(), part)}
        term = self.sft.term(logp_BKT, prompt_logp_BP, batch)
        if term is not None:
            likelihood = term[0] / term[1]
            share = share + self.sft.weight * likelihood
            metrics["nll_loss"] = (likelihood.detach(), part)
        if not self.divergence.linear:
            metrics["link/beyond_limit"] = self._beyond(batch, logp_BKT.detach() - ref_logp_BKT)
        return Scored(share, reward_BK.detach(), metrics)

    def _beyond(self, batch: Batch, log_ratio_BKT: Tensor) -> Ratio:
        """The share of responses whose pooled log-ratio left the exact part of the link."""
        pooled_BK = self.length.pool(masked(log_ratio_BKT, batch.mask_BKT), batch.mask_BKT)
        present_BK = batch.present_BK & (batch.weight_B > 0)[:, None]
        return (beyond_limit(pooled_BK) & present_BK).sum().float(), present_BK.sum().float()
