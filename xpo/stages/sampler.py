"""Who samples in a run, and what stands in the place of rows that are given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import torch

from xpo.annotator.base import Desk
from xpo.arrows import arrow_of
from xpo.contracts import Row
from xpo.data.build import check_rows
from xpo.data.counts import Counts, table
from xpo.data.prompts import Prompt
from xpo.on_policy.collect import Collector
from xpo.on_policy.experience import Rollout
from xpo.on_policy.rows import rows_of
from xpo.run.checkpoints import check_whole
from xpo.run.files import output_folder
from xpo.run.ranks import rank, world_size
from xpo.run.samples import Question
from xpo.run.say import say
from xpo.sampler.generate import Generate
from xpo.stages.setting import Setting
from xpo.stages.source import Policy, Rows, Source


def sampler(setting: Setting, source: Source, policy: Policy) -> Collector:
    """The collector of a run that samples."""
    c = setting.composition
    prompts = source.prompts(policy, c.sampling)
    engine: Any = Generate() if prompts.engine is None else prompts.engine
    desk = Desk(setting.cache, setting.out, c.seed, passing=c.schedule.online)
    return Collector(c, prompts, policy, engine, desk, world_size(c.trainer))


def tempered(policy: Policy, temperature: float) -> Policy:
    """The policy as it is sampled: what is scored is what is drawn from."""
    return dataclasses.replace(policy, scoring=dataclasses.replace(policy.scoring, temperature=temperature))


def beside(setting: Setting, source: Source) -> Rows:
    """Demonstrations, where they are imitated beside what is reinforced; else nothing is given."""
    return source.demonstrations() if setting.composition.sft.merges else Rows([])


@dataclasses.dataclass
class Renewal:
    """``renewal(number)``: the rows of a round, sampled from the policy as the round finds it.

    They are kept beside the checkpoints, so that a run that is taken up again trains on the same ones.
    """

    setting: Setting
    collector: Collector

    def __call__(self, number: int) -> Rows:
        path = self.setting.checkpoints / f"samples-{number:03d}.pt"
        if self.setting.composition.trainer.resume == "auto" and path.is_file():
            check_whole(path)
            found = torch.load(path, weights_only=True)
            train, test = (Rollout.of(found[split]).rows for split in ("train", "test"))
            return Rows(train, test)
        train = self._rows(self.collector.prompts.train, f"round {number}", number)
        test = self._rows(self.collector.prompts.test, f"held out in round {number}", number)
        self._tell(number)
        if rank() == 0:
            output_folder(path.parent)
            partial = path.with_suffix(".partial")
            torch.save({"train": Rollout(train).state(), "test": Rollout(test).state()}, partial)
            os.replace(partial, path)
        return Rows(train, test)

    def _rows(self, prompts: Sequence[Prompt], draw: str, number: int) -> list[Row]:
        c, counts = self.setting.composition, Counts()
        answers = self.collector.answers(prompts, draw, c.sampling.responses)
        generator = torch.Generator().manual_seed(c.seed * 1000 + number)
        rows = rows_of(answers, c, counts, generator, number)
        check_rows(draw, rows, counts, arrow_of(c).needs)
        say(table({draw: counts}))
        return rows

    def _tell(self, number: int) -> None:
        seconds = self.collector.clock.take()
        self.setting.log.log({f"time/{phase}": s for phase, s in seconds.items()}, 0, f"sample-{number}")


def questions(rows: Rows, collector: Collector | None) -> list[Question]:
    """Held-out prompts for samples.jsonl, with the row's first response where rows are given."""
    if collector is not None:
        prompts = collector.prompts.test or collector.prompts.train
        return [Question(list(p.shown), None, p.record.where) for p in prompts]
    chosen = rows.test or rows.train
    return [Question(list(row.prompt), list(row.responses[0]), row.source) for row in chosen]
