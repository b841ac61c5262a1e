"""What a rollout is: prompts to samples that are ready to be trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.counts import Counts
from xpo.data.counts import table as counted
from xpo.data.errors import DataError
from xpo.data.loader import totals_of
from xpo.module.off_policy import OffPolicyModule
from xpo.module.on_policy import OnPolicyModule, Said
from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector
from xpo.on_policy.experience import Rollout, table
from xpo.on_policy.rows import rows_of
from xpo.on_policy.stream import Plan

TRIES = 10
"""Rollouts that may be drawn in the place of one of which nothing can be used."""


@dataclasses.dataclass
class Rater:
    """``rater(prompts, number)`` is a rollout: sampled, annotated, and scored by policy and reference."""

    module: OnPolicyModule
    collector: Collector
    collator: Collator
    plan: Plan

    def __call__(self, indices: Sequence[int], number: int) -> Rollout:
        module, collector = self.module, self.collector
        settings = collector.parts.trainer
        with settings.autocast(module.device.type):
            answers = collector.rollout(indices, number)
            rows = [answer.row() for answer in answers]
            with collector.clock("score"):
                experience = module.prepare(
                    list(self._batches(rows)), _said(answers, collector, module.device)
                )
        module.sums.add("rollout/finished", *_finished(answers))
        for phase, seconds in collector.clock.take().items():
            module.sums.add(f"time/{phase}", torch.tensor(seconds))
        return Rollout(rows, experience)

    def _batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        each = self.plan.each
        for start in range(0, len(rows), each):
            index = list(range(start, min(start + each, len(rows))))
            chosen = [rows[i] for i in index]
            yield self.collator(chosen, index, totals_of(chosen, 1)).to(self.module.device)


def _said(answers: Sequence[Answered], collector: Collector, device: Any) -> Said:
    part_NKT = None
    if collector.parts.reward_level.of_parts:
        part_NKT = table([answer.placed(collector.policy.tokenizer) for answer in answers]).to(device)
    costs = [answer.row().costs for answer in answers]
    given = [cost for cost in costs if cost is not None]
    return Said(
        torch.tensor([answer.values for answer in answers], device=device),
        table([answer.logps for answer in answers]).to(device),
        part_NKT=part_NKT,
        cost_NK=torch.tensor(given, dtype=torch.float32, device=device) if len(given) == len(costs) else None,
    )


@dataclasses.dataclass
class Fitter:
    """``fitter(prompts, number)`` is a rollout of rows for a loss of given ones.

    Where nothing can be used (all responses of all prompts tie), other prompts are answered, up to ``TRIES``
    times: then the rows of the rollout before count for nothing, and the policy stays as it is. Raises
    ``DataError`` where there is none before.
    """

    module: OffPolicyModule
    collector: Collector
    turn: int = 1  # the round's number
    counts: Counts = dataclasses.field(default_factory=Counts)
    last: list[Row] = dataclasses.field(default_factory=list)

    def __call__(self, indices: Sequence[int], number: int) -> Rollout:
        collector, sums = self.collector, self.module.sums
        with collector.parts.trainer.autocast(self.module.device.type):
            answers, rows = self._answered(indices, number)
        sums.add("rollout/finished", *_finished(answers))
        sums.add("rollout/rows", torch.tensor(float(len(rows))))
        for name, value in _told(answers).items():
            sums.add(f"rollout/{name}", *value)
        for phase, seconds in collector.clock.take().items():
            sums.add(f"time/{phase}", torch.tensor(seconds))
        return Rollout(rows or self._idle())

    def state_dict(self) -> dict[str, Any]:
        """A row to idle on, for a checkpoint."""
        return {"last": Rollout(self.last[:1]).state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.last = Rollout.of(state["last"]).rows

    def _answered(self, indices: Sequence[int], number: int) -> tuple[list[Answered], list[Row]]:
        answers: list[Answered] = []
        for again in range(TRIES):
            answers = self.collector.rollout(indices, number, again)
            rows = self._rows(answers, number)
            if rows:
                self.last = rows
                return answers, rows
        return answers, []

    def _idle(self) -> list[Row]:
        """Rows that count for nothing."""
        if not self.last:
            raise DataError(
                f"{TRIES} rollouts in a row left nothing to train on:\n{counted({'rollouts': self.counts})}"
            )
        self.collector.count("rollouts with nothing to learn", 1)
        return [dataclasses.replace(self.last[0], weight=0.0)]

    def _rows(self, answers: Sequence[Answered], number: int) -> list[Row]:
        parts = self.collector.parts
        generator = torch.Generator().manual_seed(parts.seed * 1_000_003 + number)
        return rows_of(answers, parts, self.counts, generator, self.turn)


def _told(answers: Sequence[Answered]) -> dict[str, tuple[torch.Tensor, float]]:
    """How long the policy's samples are, and what they score where that is known."""
    lengths = [float(len(response)) for answer in answers for response in answer.responses]
    found = {"length": (torch.tensor(sum(lengths)), float(len(lengths)))}
    scores = [
        score
        for answer in answers
        if answer.record.scores is not None
        for score in answer.record.scores[: len(answer.responses)]
    ]
    if scores:
        found["score"] = torch.tensor(sum(scores)), float(len(scores))
    return found


def _finished(answers: Sequence[Answered]) -> tuple[torch.Tensor, float]:
    ended = [float(done) for answer in answers for done in answer.finished]
    return torch.tensor(sum(ended)), float(len(ended))
