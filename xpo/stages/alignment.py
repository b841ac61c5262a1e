"""What an alignment is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xpo.arrow import OffPolicy
from xpo.arrows import Arrow
from xpo.critic.base import Critic
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows
from xpo.data.plan import Sizes
from xpo.reference.cache import ReferenceCache
from xpo.reference.prepared import Prepared
from xpo.reward_model.heads import RewardHead
from xpo.run.ranks import rank, world_size
from xpo.stages.setting import Setting
from xpo.stages.source import Measure, Policy, Rows


@dataclass(frozen=True)
class Turn:
    """One of a run's rounds of alignment, counted from 1."""

    number: int = 1
    of: int = 1

    @property
    def stage(self) -> str:
        """What logs and checkpoints call it; the first is ``align``, as in a run of one round."""
        return "align" if self.number == 1 else f"align-{self.number}"

    @property
    def last(self) -> bool:
        return self.number == self.of

    def folder(self, checkpoints: Path) -> Path:
        return checkpoints if self.of == 1 else checkpoints / self.stage

    def share(self, steps: int) -> int:
        """This round's part of all steps."""
        return steps * self.number // self.of - steps * (self.number - 1) // self.of


class Finish(Protocol):
    """What the trained weights go through before they are a run's result.

    ``measure`` takes the policy, which it leaves as it is because the reference may live in it, what measures
    a model as the alignment does, and the step; it gives the result's metrics. ``settle`` comes last and
    makes the policy the result.
    """

    def measure(
        self, model: Any, evaluate: Callable[[Any], Mapping[str, float]], step: int
    ) -> dict[str, float]: ...

    def settle(self, model: Any) -> None: ...


class Between(Protocol):
    """What is done between rounds, and what evaluations add."""

    def begin(self, alignment: Alignment, number: int) -> Alignment: ...
    def end(self, number: int) -> dict[str, float]: ...
    def scores(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Alignment:
    """What the stage is made of: built once, used for training and for the evaluation after it."""

    setting: Setting
    policy: Policy
    arrow: Arrow
    rows: Rows
    measure: Measure | None
    critic: Critic | None = None
    head: RewardHead | None = None  # what a reward model's scores come from
    turn: Turn = Turn()
    reference: Prepared | None = None  # None: made from the policy as the stage finds it
    renew: Callable[[int, Prepared | None], Rows] | None = None  # a round's rows, sampled as it begins
    samples: Callable[[], Mapping[str, float]] | None = None  # what samples for held-out prompts are like
    finish: Finish | None = None  # what the last round's weights go through
    between: Between | None = None  # what is done as rounds begin and end

    @property
    def rows_arrow(self) -> OffPolicy:
        """The arrow, where the loss is one of given rows."""
        assert isinstance(self.arrow, OffPolicy)
        return self.arrow

    @property
    def sizes(self) -> Sizes:
        trainer = self.setting.composition.trainer
        return Sizes(trainer.batch_size, trainer.tokens_per_micro_batch, seed=self.setting.composition.seed)

    @property
    def ranks(self) -> tuple[int, int]:
        return rank(), world_size(self.setting.composition.trainer)

    @property
    def probes(self) -> ProbeRows:
        """The rows of whole-step statistics."""
        return ProbeRows(self.arrow.statistic_rows, self.rows.limits, self.policy.tokenizer.bos_token_id)

    @property
    def caches(self) -> bool:
        """Whether the reference's log-probabilities are computed once: nothing else is asked of it then."""
        option = self.setting.composition.reference
        lasting = "mismatched" in self.arrow.statistic_rows
        whole = any(statistic.needs_reference for statistic in self.arrow.token_statistics)
        return option.cacheable and option.cache and not lasting and not whole

    def collator(self, ref: ReferenceCache | None = None) -> Collator:
        skipped = None if self.setting.composition.critic.every_state else self.policy.scoring.support
        reward, tokenizer = self.setting.composition.reward, self.policy.tokenizer
        between = reward.separator(tokenizer) if reward.trains_head else None
        edges, whole = self.arrow.prompt_edges, reward.trains_head
        return Collator(tokenizer.pad_token_id, edges, ref, skipped, whole, between)
