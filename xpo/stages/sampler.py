"""Who samples in a run, and what stands in the place of rows that are given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from xpo.annotator.base import Desk, Labeller
from xpo.arrows import arrow_of
from xpo.compose.composition import Composition
from xpo.contracts import Row
from xpo.data.build import check_rows
from xpo.data.counts import Counts, table
from xpo.data.prompts import Prompt
from xpo.errors import UserError
from xpo.judge.address import checked_url
from xpo.judge.endpoint import Endpoint
from xpo.model.hf import find
from xpo.on_policy.collect import Choose, Collector
from xpo.on_policy.experience import Rollout
from xpo.on_policy.rows import rows_of
from xpo.reference.moving import Moving
from xpo.reference.prepared import Prepared
from xpo.run.files import output_folder
from xpo.run.ranks import rank, world_size
from xpo.run.samples import Question
from xpo.run.say import say
from xpo.run.state import load_state, round_fix
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate
from xpo.sampler.mixture import Mixture
from xpo.sampler.vllm import Vllm
from xpo.stages.setting import Setting
from xpo.stages.source import Policy, Rows, Source

Engine = Callable[[Policy, Sequence[Sequence[int]], Draw, torch.Generator], Sampled]


def sampler(setting: Setting, source: Source, policy: Policy) -> Collector:
    """The collector of a run that samples; ``drawing`` says who draws, once the reference is there."""
    c = setting.composition
    prompts = source.prompts(policy, c.sampling)
    desk = Desk(setting.cache, setting.out, c.seed, passing=c.schedule.online)
    return Collector(c, prompts, tempered(policy, c.sampling.temperature), desk, world_size(c.trainer))


def drawing(collector: Collector, reference: Prepared | None, average: Moving | None = None) -> None:
    """Let the collector draw with the engines that the run's options and data say.

    Without a reference of its own the policy as it stands is the reference. ``average`` is of the policy, and
    plays against it.
    """
    option = collector.parts.sampling
    collector.engine = _engine(collector, reference, option.weight)
    if option.rivals:
        engine = _engine(collector, reference, option.mix)
        collector.rival = engine if average is None else Averaged(engine, average)


def _engine(collector: Collector, reference: Prepared | None, weight: float) -> Engine:
    """Who draws from the policy, or from it and ``weight`` of the reference."""
    option = collector.parts.sampling
    host = None if reference is None else reference.host
    other = host if weight else None
    if collector.prompts.exact is not None:
        return collector.prompts.exact(other, 0.0 if other is None else weight)
    served = _served(option)
    if served is not None:
        return served
    return Mixture(other, weight) if other is not None else Generate()


def meet(c: Composition) -> None:
    """``UserError`` where somebody who draws or judges samples is not there, before anything is loaded."""
    if not c.sampling.samples:
        return
    own = c.annotator.reads if isinstance(c.annotator, Labeller) else ()
    for key, path in (*own, *c.sampling.reads):
        find(path, key)
    served = _served(c.sampling)
    if served is not None:
        served.meet()


def _served(option: Any) -> Vllm | None:
    if option.server is None:
        return None
    folder = None if option.server_folder is None else Path(option.server_folder)
    return Vllm(Endpoint(checked_url(option.server), option.served), folder)


@dataclasses.dataclass(frozen=True)
class Averaged:
    """Draws as ``engine`` does, from the average of a policy in its place."""

    engine: Engine
    average: Moving

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        with self.average.host():
            return self.engine(policy, prompts, draw, generator)


def tempered(policy: Policy, temperature: float) -> Policy:
    """The policy as it is sampled: what is scored is what is drawn from."""
    return dataclasses.replace(policy, scoring=dataclasses.replace(policy.scoring, temperature=temperature))


def beside(setting: Setting, source: Source) -> Rows:
    """Demonstrations, where they are imitated beside what is reinforced; else nothing is given.

    Raises ``UserError`` where there are none.
    """
    c = setting.composition
    if not c.sft.merges or not c.objective.policy_gradient:
        return Rows([])
    rows = source.demonstrations()
    if not rows.train:
        raise UserError(
            f"{c.choice('sft')} imitates demonstrations with every step, and there is none: "
            f"{rows.why or 'no training row has a good response'}. Give data.demonstrations=FILE, or sft=none"
        )
    return rows


@dataclasses.dataclass
class Renewal:
    """``renewal(number)``: the rows of a round, sampled from the policy as the round finds it.

    They are kept beside the checkpoints, so that a run that is taken up again trains on the same ones.
    """

    setting: Setting
    collector: Collector
    chooser: Any = None  # ``xpo.stages.query.Chooser``, where not all samples are annotated

    def __call__(self, number: int, reference: Prepared | None) -> Rows:
        drawing(self.collector, reference)
        path = self._path(number)
        if self.setting.composition.trainer.resume == "auto" and path.is_file():
            train, test = self._kept(number)
            return Rows([*self._earlier(number), *train], test)
        choose = None
        if self.chooser is not None:
            choose = partial(self.chooser.of_samples, self._earlier(number), number, reference)
        train = self._rows(self.collector.prompts.train, f"round {number}", number, choose)
        test = self._rows(self._held_out, f"held out in round {number}", number)
        self._tell(number)
        if rank() == 0:
            output_folder(path.parent)
            unfinished = path.with_suffix(".partial")
            torch.save({"train": Rollout(train).state(), "test": Rollout(test).state()}, unfinished)
            os.replace(unfinished, path)
        return Rows([*self._earlier(number), *train], test)

    def _earlier(self, number: int) -> list[Row]:
        """Rows of the rounds before that are trained on again."""
        first = max(1, number - self.setting.composition.schedule.replay)
        return [row for n in range(first, number) for row in self._kept(n)[0]]

    def _kept(self, number: int) -> tuple[list[Row], list[Row]]:
        """What a round sampled, for training and held out."""

        def read(found: Any) -> tuple[list[Row], list[Row]]:
            return Rollout.of(found["train"]).rows, Rollout.of(found["test"]).rows

        return load_state(self._path(number), round_fix(number), read)

    def _path(self, number: int) -> Path:
        return self.setting.checkpoints / f"samples-{number:03d}.pt"

    @property
    def _held_out(self) -> Sequence[Prompt]:
        """Where labels have a budget, as many as are measured."""
        prompts = self.collector.prompts.test
        return prompts if self.chooser is None else prompts[: self.setting.composition.eval.rows]

    def _rows(
        self, prompts: Sequence[Prompt], draw: str, number: int, choose: Choose | None = None
    ) -> list[Row]:
        c, counts = self.setting.composition, Counts()
        answers = self.collector.answers(prompts, draw, c.sampling.responses, choose=choose)
        generator = torch.Generator().manual_seed(c.seed * 1000 + number)
        rows = rows_of(answers, c, counts, generator, number)
        if rows or prompts is self.collector.prompts.train:  # a few held-out ones may all be ties
            check_rows(draw, rows, counts, arrow_of(c).needs)
        say(table({draw: counts}))
        return rows

    def _tell(self, number: int) -> None:
        seconds = self.collector.clock.take()
        times = {f"time/{phase}": s for phase, s in seconds.items()}
        self.setting.log.log({**times, **self.collector.told}, 0, f"sample-{number}")


@dataclasses.dataclass(frozen=True)
class Expected:
    """The rows of a round in expectation over the policy as the round finds it."""

    source: Source
    policy: Policy
    needs: frozenset[str]

    def __call__(self, number: int, reference: Prepared | None) -> Rows:
        return self.source.rows(self.policy, self.needs)


def questions(rows: Rows, collector: Collector | None) -> list[Question]:
    """Held-out prompts for samples.jsonl, with the row's first response where rows are given."""
    if collector is not None:
        prompts = collector.prompts.test or collector.prompts.train
        return [Question(list(p.shown), None, p.record.where) for p in prompts]
    chosen = rows.test or rows.train
    return [Question(list(row.prompt), list(row.responses[0]), row.source) for row in chosen]
