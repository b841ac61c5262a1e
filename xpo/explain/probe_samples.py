"""What a combination that samples trains on, on a few prompts: a rollout's batch, or the rows of a round."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from xpo.annotator.base import Desk
from xpo.annotator.reward_model import RewardModel
from xpo.contracts import Batch, Row
from xpo.data.build import check_rows
from xpo.data.collate import Collator
from xpo.data.counts import Counts
from xpo.data.loader import totals_of
from xpo.data.plan import Sizes
from xpo.explain.ground import PROMPTS, Ground, demonstrations
from xpo.explain.scorers import save_scorer
from xpo.module.on_policy import OnPolicyModule
from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector
from xpo.on_policy.rows import rows_of
from xpo.on_policy.stream import Plan
from xpo.stages.rollouts import Demonstrations, Rater

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

TOKENS = 6  # of a sample: the windows of the probes' models are small
STOP = tuple("aeo")  # so that samples of random weights, which rarely end, have unequal lengths


def brief(c: Composition) -> Composition:
    """The composition with short samples, and an untrained scorer for one that a run trains first."""
    if c.annotator.first:
        before = dataclasses.replace(c.annotator.before(c), seed=c.seed + 1)  # none of the stand-ins
        c = dataclasses.replace(c, annotator=RewardModel(path=str(_untrained(before))))
    if not c.sampling.samples:
        return c
    stop = STOP if c.data.support is None else ()
    most = min(c.sampling.max_new_tokens, TOKENS)
    return dataclasses.replace(c, sampling=dataclasses.replace(c.sampling, max_new_tokens=most, stop=stop))


def _untrained(before: Composition) -> Path:
    """What its run would leave, made once."""
    told = hashlib.sha256(repr((before.components(), before.seed)).encode()).hexdigest()[:16]
    folder = Path(before.config["cache"]) / "untrained" / told
    return folder if folder.is_dir() else save_scorer(before, folder)


def sampled_rows(c: Composition, answers: Sequence[Answered]) -> list[Row]:
    """The rows of a first round, or rollout."""
    counts = Counts()
    rows = rows_of(answers, c, counts, torch.Generator().manual_seed(0))
    check_rows("round 1", rows, counts, c.needs)
    return rows


@dataclass
class _Known(Collector):
    """A collector whose rollout is there already."""

    found: Sequence[Answered] = ()

    def rollout(self, indices: Sequence[int], number: int, again: int = 0) -> list[Answered]:
        return [*self.found]


def rollout_batch(
    module: OnPolicyModule, ground: Ground, c: Composition, collator: Collator
) -> tuple[Batch, Sequence[Row]]:
    """A rollout as one batch, demonstrations beside it where there are some, and its rows."""
    assert ground.prompts is not None, "it samples"
    sizes, count = Sizes(PROMPTS, 1_000_000), len(ground.prompts.train)
    known = _Known(c, ground.prompts, ground.start, Desk.of(c), found=ground.answers)
    rollout = Rater(module, known, collator, Plan((1,) * count, sizes))(range(count), 0)
    rows, experience = rollout.rows, rollout.experience
    assert experience is not None
    batch = collator(rows, range(len(rows)), totals_of(rows, 1))
    _, size, width = batch.mask_BKT.shape
    beside = None
    if c.sft.merges:
        (beside,) = Demonstrations(demonstrations(c), sizes, collator, (0, 1))(0, 1)
    experience = experience.at(batch.index_B, size, width)
    return dataclasses.replace(batch, experience=experience, beside=beside), rows
