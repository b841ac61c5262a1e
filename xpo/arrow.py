"""The off-policy arrow: log-probabilities to one loss, through the axes. Pure tensors, no trainer.

logp, ref_logp -> log_ratio_BKT -> pool and link -> x beta, + offset -> reward_BK -> objective -> loss_B
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from xpo.contracts import Batch, Context, Step, masked
from xpo.divergence.base import beyond_limit
from xpo.scored import Ratio, Scored, Scores, Steps
from xpo.scoring.token_statistics import TokenStatistic


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
    label_noise: Any
    margin: Any
    objective: Any
    weighting: Any
    reduce: Any
    sft: Any
    anchor: Any
    given_reference: bool = True

    def __post_init__(self) -> None:
        if self.objective.explicit_reward and not self.reward.gives_scores:
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
        parts = (self.objective, self.sft, self.margin, self.anchor, self.weighting)
        return labels.union(*(part.needs for part in parts))

    @property
    def relabels(self) -> bool:
        """Whether comparisons are replaced by a scorer's."""
        return self.reward.relabels and "comparisons" in self.objective.needs

    @property
    def statistic_rows(self) -> frozenset[str]:
        """Which rows of a step are scored for whole-step statistics: of "step" and "mismatched"."""
        return frozenset({self.objective.statistic_rows, self.weighting.statistic_rows}) - {"none"}

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        """What is read of next-token distributions, each once."""
        parts = (self.objective, self.weighting, self.anchor)
        return tuple(dict.fromkeys(s for part in parts for s in part.token_statistics))

    def rewards(self, batch: Batch, logp_BKT: Tensor, ref_logp_BKT: Tensor) -> Tensor:
        """reward_BK = beta link(pooled log-ratio) + length offset; absent responses have 0."""
        log_ratio_BKT = masked(logp_BKT - ref_logp_BKT, batch.mask_BKT)
        linked_BK = self.reward_level.apply(self.divergence, self.length, log_ratio_BKT, batch.mask_BKT)
        return self.reward(linked_BK) + self.length.offset(batch.mask_BKT).to(linked_BK.dtype)

    def reward_of(self, batch: Batch, scores: Scores) -> Tensor:
        """reward_BK of what was scored: of log-ratios, or of a trained head (its scores + length offset)."""
        if scores.opinion is None:
            return self.rewards(batch, scores.logp_BKT, scores.ref_logp_BKT)
        reward_BK = scores.opinion.reward_BK
        return reward_BK + self.length.offset(batch.mask_BKT).to(reward_BK.dtype)

    def losses(
        self, batch: Batch, reward_BK: Tensor, scores: Scores, step: Step | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """loss_B of the objective alone, not weighted by row and not reduced, and its own metrics."""
        batch = self.labelled(batch)
        context = self.context(batch, reward_BK, scores, step)
        loss_B, batch = self._loss(batch, reward_BK, context)
        return loss_B, dict(self.objective.metrics(reward_BK, batch, context))

    def _loss(self, batch: Batch, reward_BK: Tensor, context: Context) -> tuple[Tensor, Batch]:
        """loss_B of a labelled batch, and the batch as its comparisons are weighed."""
        batch = self.weighting.masses(batch, context)
        return self.objective(reward_BK, batch, context), batch

    def labelled(self, batch: Batch) -> Batch:
        """The batch with the labels and scores that the objective reads."""
        if self.relabels:
            batch = self.reward.relabelled(batch, self.reward_form)
        if self.objective.explicit_reward and self.reward.relabels:
            batch = self.reward.scaled(batch)
        return self.label_noise(batch)

    def context(self, batch: Batch, reward_BK: Tensor, scores: Scores, step: Step | None = None) -> Context:
        """What the objective may read beside a labelled batch and its rewards."""
        return Context(
            self.margin(batch, self.reward.beta, reward_BK),
            scores.logp_BKT,
            step,
            self.polarity.roles,
            self.reward.beta,
            scores.token,
            scores.value,
            self._of_reference(batch, scores) if self.objective.reads_reference else None,
            None if scores.opinion is None else scores.opinion.log_odds_BKK,
        )

    def _of_reference(self, batch: Batch, scores: Scores) -> Tensor:
        """What a linear link makes of the reference's log-probabilities."""
        ref_logp_BKT, mask_BKT = masked(scores.ref_logp_BKT, batch.mask_BKT), batch.mask_BKT
        return self.reward(self.reward_level.apply(self.divergence, self.length, ref_logp_BKT, mask_BKT))

    def observed(self, batch: Batch, scores: Scores) -> Tensor:
        """What the objective takes from rows into its whole-step statistic, BF."""
        reward_BK = self.reward_of(batch, scores)
        if self.objective.statistic_rows == "step":  # mismatched rows have no labels
            batch = self.labelled(batch)
        return self.objective.observe(reward_BK, batch, self.context(batch, reward_BK, scores))

    def weighed(self, batch: Batch, scores: Scores, step: Step | None) -> Tensor:
        """What the weighting takes from rows into its own, BF. ``step`` is the objective's."""
        reward_BK = self.reward_of(batch, scores)
        batch = self.labelled(batch)
        loss_B = self._loss(batch, reward_BK, self.context(batch, reward_BK, scores, step))[0]
        return self.weighting.observe(reward_BK, loss_B, batch, self.reward.beta)

    def __call__(self, batch: Batch, scores: Scores, steps: Steps = Steps()) -> Scored:  # noqa: B008 (frozen)
        """The whole arrow for one micro-batch."""
        plain_BK = self.reward_of(batch, scores)
        reward_BK = self.weighting.rewards(plain_BK, steps.weighting, self.reward.beta)
        loss_B, own = self.losses(batch, reward_BK, scores, steps.objective)
        counted = batch.by_scores() if self.objective.counts_scores else batch
        numerator, denominator = self.reduce(self.weighting.losses(loss_B, batch, steps.weighting), counted)
        objective = numerator / denominator
        share = self.sft.preference_weight * objective
        part = batch.weight_B.sum() / batch.totals.rows
        metrics: dict[str, Ratio] = {"objective": (objective.detach(), part), **own}
        term = self.sft.term(scores.logp_BKT, scores.prompt_logp_BP, batch)
        if term is not None:
            likelihood = term[0] / term[1]
            share = share + self.sft.weight * likelihood
            metrics["nll_loss"] = (likelihood.detach(), part)
        if self.anchor.applies:
            above, below = self.anchor(batch, reward_BK, {**scores.token, "logp": scores.logp_BKT})
            share = share + self.anchor.weight * above / below
            metrics["anchor_loss"] = ((above / below).detach(), part)
        if not self.divergence.linear:
            metrics["link/beyond_limit"] = self._beyond(batch, scores.logp_BKT.detach() - scores.ref_logp_BKT)
        return Scored(share, reward_BK.detach(), metrics)

    def _beyond(self, batch: Batch, log_ratio_BKT: Tensor) -> Ratio:
        """The share of responses whose pooled log-ratio left the exact part of the link."""
        pooled_BK = self.length.pool(masked(log_ratio_BKT, batch.mask_BKT), batch.mask_BKT)
        present_BK = batch.present_BK & (batch.weight_B > 0)[:, None]
        return (beyond_limit(pooled_BK) & present_BK).sum().float(), present_BK.sum().float()
