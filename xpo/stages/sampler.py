"""Who samples in a run, and what stands in the place of rows that are given."""

from __future__ import annotations

import dataclasses
from typing import Any

from xpo.annotator.base import Desk
from xpo.on_policy.collect import Collector
from xpo.run.ranks import world_size
from xpo.run.samples import Question
from xpo.sampler.generate import Generate
from xpo.stages.setting import Setting
from xpo.stages.source import Policy, Rows, Source


def sampler(setting: Setting, source: Source, policy: Policy) -> Collector:
    """The collector of a run that samples."""
    c = setting.composition
    prompts = source.prompts(policy, c.sampling)
    engine: Any = Generate() if prompts.engine is None else prompts.engine
    desk = Desk(setting.cache, setting.out, c.seed)
    return Collector(c, prompts, policy, engine, desk, world_size(c.trainer))


def tempered(policy: Policy, temperature: float) -> Policy:
    """The policy as it is sampled: what is scored is what is drawn from."""
    return dataclasses.replace(policy, scoring=dataclasses.replace(policy.scoring, temperature=temperature))


def beside(setting: Setting, source: Source) -> Rows:
    """Demonstrations, where they are imitated beside what is reinforced; else nothing is given."""
    return source.demonstrations() if setting.composition.sft.merges else Rows([])


def questions(rows: Rows, collector: Collector | None) -> list[Question]:
    """Held-out prompts for samples.jsonl, with the row's first response where rows are given."""
    if collector is not None:
        prompts = collector.prompts.test or collector.prompts.train
        return [Question(list(p.shown), None, p.record.where) for p in prompts]
    chosen = rows.test or rows.train
    return [Question(list(row.prompt), list(row.responses[0]), row.source) for row in chosen]
