"""What a combination that samples trains on, on a few prompts: a rollout's batch, or the rows of a round."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xpo.annotator.base import Desk
from xpo.annotator.reward_model import RewardModel
from xpo.arrows import arrow_of
from xpo.contracts import Batch, Row
from xpo.data.build import check_rows
from xpo.data.collate import Collator
from xpo.data.counts import Counts
from xpo.data.loader import totals_of
from xpo.data.plan import Sizes
from xpo.explain.scorers import save_scorer
from xpo.module.on_policy import OnPolicyModule
from xpo.on_policy.collect import Collector
from xpo.on_policy.rows import rows_of
from xpo.on_policy.stream import Plan
from xpo.reference.prepared import Prepared
from xpo.stages.rollouts import Demonstrations, Rater
from xpo.stages.sampler import drawing, tempered
from xpo.stages.source import Policy, Source

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

PROMPTS = 8
TOKENS = 6  # of a sample: the windows of the probes' models are small
STOP = tuple("aeo")  # so that samples of random weights, which rarely end, have unequal lengths


def brief(c: Composition) -> Composition:
    """The composition with short samples, and an untrained scorer for one that a run trains first."""
    if c.annotator.first:
        before = dataclasses.replace(c.annotator.before(c), seed=c.seed + 1)  # none of the stand-ins
        folder = Path(c.config["cache"]) / "untrained"
        path = save_scorer(before, folder / before.config["algo"]["name"])
        c = dataclasses.replace(c, annotator=RewardModel(path=str(path)))
    if not c.sampling.samples:
        return c
    stop = STOP if c.data.support is None else ()
    most = min(c.sampling.max_new_tokens, TOKENS)
    return dataclasses.replace(c, sampling=dataclasses.replace(c.sampling, max_new_tokens=most, stop=stop))


def collector_of(c: Composition, source: Source, start: Policy, reference: Prepared) -> Collector:
    """Who draws responses to the first prompts, and has them annotated."""
    prompts = source.prompts(start, c.sampling)
    prompts = dataclasses.replace(prompts, train=prompts.train[:PROMPTS], test=())
    desk = dataclasses.replace(Desk.of(c), passing=c.schedule.online)
    collector = Collector(c, prompts, tempered(start, c.sampling.temperature), desk)
    drawing(collector, reference)
    return collector


def round_rows(c: Composition, collector: Collector) -> list[Row]:
    """The rows of a first round."""
    counts = Counts()
    answers = collector.answers(collector.prompts.train, "round 1", c.sampling.responses)
    rows = rows_of(answers, c, counts, torch.Generator().manual_seed(0))
    check_rows("round 1", rows, counts, arrow_of(c).needs)
    return rows


def rollout_batch(
    module: OnPolicyModule, collector: Collector, collator: Collator, demonstrations: Any
) -> tuple[Batch, Sequence[Row]]:
    """A rollout as one batch, demonstrations beside it where there are some, and its rows."""
    prompts, sizes = collector.prompts.train, Sizes(PROMPTS, 1_000_000)
    plan = Plan((1,) * len(prompts), sizes)
    rollout = Rater(module, collector, collator, plan)(range(len(prompts)), 0)
    rows, known = rollout.rows, rollout.experience
    assert known is not None
    batch = collator(rows, range(len(rows)), totals_of(rows, 1))
    _, size, width = batch.mask_BKT.shape
    beside = None
    if demonstrations is not None:
        (beside,) = Demonstrations(demonstrations, sizes, collator, (0, 1))(0, 1)
    return dataclasses.replace(batch, experience=known.at(batch.index_B, size, width), beside=beside), rows
