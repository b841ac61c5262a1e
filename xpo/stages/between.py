"""What is done between the rounds of a run: the reward model is renewed, and the policies play each other."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xpo.annotator.base import Desk
from xpo.annotator.trained import DRAWN
from xpo.compose.composition import Composition
from xpo.contracts import Row
from xpo.data.counts import Counts, table
from xpo.data.prompts import Prompt
from xpo.on_policy.collect import Collector
from xpo.on_policy.experience import Rollout
from xpo.on_policy.rows import rows_of
from xpo.run.files import output_folder
from xpo.run.ranks import rank
from xpo.run.say import say
from xpo.run.state import load_state, round_fix
from xpo.sampling.on_policy import OnPolicy
from xpo.stages.alignment import Alignment
from xpo.stages.opening import window
from xpo.stages.reward_first import with_renewed_reward_model
from xpo.stages.sampler import drawing
from xpo.stages.setting import Setting
from xpo.stages.watch import Ratings, Watch, watch_of


@dataclass(frozen=True)
class Between:
    """Of one run. ``watch`` and ``ratings`` are None where nobody judges who was not trained against."""

    refresh: Refresh | None
    watch: Watch | None
    ratings: Ratings | None

    def begin(self, alignment: Alignment, number: int) -> Alignment:
        """The alignment of a round that begins."""
        if self.ratings is not None:
            self.ratings.begin(number)
        return alignment if self.refresh is None else self.refresh(alignment, number)

    def end(self, number: int) -> dict[str, float]:
        """Metrics of the policies at the ends of rounds together."""
        return {} if self.ratings is None else self.ratings.add(number)

    def scores(self) -> dict[str, float]:
        """What an evaluation adds."""
        return {} if self.watch is None else self.watch.scores()


def between_of(setting: Setting, collector: Collector | None) -> Between | None:
    """None where a run has no rounds that sample, and nobody watches."""
    c, first = setting.composition, setting.first
    if collector is None:
        return None
    held_out = first is not None and first.annotator.held_out
    refreshes = first is not None and first.annotator.refresh > 0
    watch, ratings = watch_of(setting, collector), None
    if watch is not None and c.schedule.rounds > 1 and c.schedule.online:
        ratings = Ratings(watch, setting.checkpoints / "ratings.json")
    if not (held_out or refreshes or ratings):
        return None
    refresh = Refresh(setting, collector) if refreshes else None
    return Between(refresh, watch if held_out else None, ratings)


@dataclass(frozen=True)
class Refresh:
    """``refresh(alignment, number)``: the alignment of a round, its annotator trained anew.

    Prompts are answered by the policy as the round finds it, and compared by whoever labels for the reward
    model. What was compared is kept beside the checkpoints: a run that is taken up again asks nobody twice.
    ``collector`` is the run's own, who is given the new annotator.
    """

    setting: Setting
    collector: Collector

    def __call__(self, alignment: Alignment, number: int) -> Alignment:
        first = self.setting.first
        assert first is not None, "a reward model was trained first"
        if number == 1:
            return alignment
        more = [row for n in range(2, number + 1) for row in self._rows(alignment, n, number)]
        with self.setting.manifest.stage(f"reward_model-{number}"):
            renewed = with_renewed_reward_model(first, self.setting.checkpoints.parent, number, more)
        annotator = renewed.annotator
        self.collector.parts = dataclasses.replace(self.collector.parts, annotator=annotator)
        composition = dataclasses.replace(alignment.setting.composition, annotator=annotator)
        setting = dataclasses.replace(alignment.setting, composition=composition)
        return dataclasses.replace(alignment, setting=setting)

    def _rows(self, alignment: Alignment, number: int, now: int) -> Sequence[Row]:
        """What was compared before a round; before this one it is compared now, unless it is known."""
        path = self.setting.checkpoints / f"comparisons-{number:03d}.pt"
        known = path.is_file() and self.setting.composition.trainer.resume == "auto"
        if number == now and not known:
            rows = self._compared(alignment, number)
            _keep(path, rows)
            return rows
        return load_state(path, round_fix(number), lambda found: Rollout.of(found).rows)

    def _compared(self, alignment: Alignment, number: int) -> list[Row]:
        first = self.setting.first
        assert first is not None
        before = first.annotator.before(first)
        judges = dataclasses.replace(before, sampling=_sampling(first), seed=first.seed)
        desk, counts = Desk(self.setting.cache, self.setting.out, first.seed), Counts()
        source = judges.data.open(judges, desk)
        source.tokenize(alignment.policy.tokenizer, window(alignment.policy.model))
        prompts = source.prompts(alignment.policy, judges.sampling)
        collector = Collector(judges, prompts, self.collector.policy, desk, self.collector.ranks)
        drawing(collector, None)
        name = f"comparisons of round {number}"
        asked = _asked(prompts.train, first.annotator.refresh, first.seed * 1000 + number)
        answers = collector.answers(asked, name, first.annotator.responses)
        rows = rows_of(answers, judges, counts, torch.Generator().manual_seed(number))
        say(table({name: counts}))
        return rows


def _sampling(c: Composition) -> OnPolicy:
    own = vars(c.sampling)
    return OnPolicy(responses=c.annotator.responses, **{key: own[key] for key in DRAWN})


def _asked(prompts: Sequence[Prompt], number: int, seed: int) -> list[Prompt]:
    """So many, each of them before any comes again."""
    generator, found = torch.Generator().manual_seed(seed), []
    while len(found) < number:
        found += [prompts[i] for i in torch.randperm(len(prompts), generator=generator).tolist()]
    return found[:number]


def _keep(path: Path, rows: list[Row]) -> None:
    if rank() != 0:
        return
    output_folder(path.parent)
    partial: Any = path.with_suffix(".partial")
    torch.save(Rollout(rows).state(), partial)
    os.replace(partial, path)
