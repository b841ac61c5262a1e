"""Iterables over micro-batches that Lightning can resume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xpo.contracts import Batch, Probes, Row, StepTotals
from xpo.data.collate import Collator
from xpo.data.plan import Group, Plan, Sizes
from xpo.data.probes import mismatched, partners
from xpo.data.truncate import Limits


@dataclass(frozen=True)
class ProbeRows:
    """Which rows whole-step statistics are taken over ("step", "mismatched"), and how mismatched ones are
    cut to the window."""

    kinds: frozenset[str] = frozenset()
    limits: Limits = Limits()
    bos_id: int | None = None

    def __post_init__(self) -> None:
        if unknown := self.kinds - {"step", "mismatched"}:
            raise ValueError(f"statistics are taken over step or mismatched rows, not {sorted(unknown)}")


class StepLoader:
    """The training rows as micro-batches; ``micro_batches`` of them make one optimizer step.

    Give ``accumulate_grad_batches=loader.micro_batches`` to Lightning. Every batch carries the totals of
    its step over all ranks. The first of each step carries ``probes``, one batch for each micro-batch of
    this rank: ``step`` the step's own rows (with their cached reference; none if there is one micro-batch),
    ``mismatched`` their prompts with other rows' responses (no cached reference; index and weight are
    those of the prompt's row).
    Micro-batches of a step and steps of an epoch follow from the rows unless they are ``settled``.
    ``state_dict`` is the place in the epoch: what comes after it is the same in a new process.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        sizes: Sizes,
        collator: Collator,
        *,
        rank: int = 0,
        world_size: int = 1,
        probes: ProbeRows | None = None,
        settled: tuple[int | None, int] = (None, 0),
    ) -> None:
        self.rows = rows
        self.collator = collator
        self.rank = rank
        self.probes = probes or ProbeRows()
        costs = tuple(collator.cost(row) for row in rows)
        self.plan = Plan(costs, sizes, world_size, *settled)
        self._filler = min(range(len(rows)), key=lambda i: (self.plan.costs[i], i))
        self._epoch = 0
        self._start = 0  # where the next iteration starts: not at 0 only after a resume
        self._position = 0  # micro-batches of this epoch that are handed out

    @property
    def micro_batches(self) -> int:
        """Micro-batches per optimizer step and rank."""
        return self.plan.micro_batches

    @property
    def steps(self) -> int:
        """Optimizer steps per epoch."""
        return self.plan.steps

    @property
    def sampler(self) -> StepLoader:
        """Where Lightning looks for ``set_epoch``."""
        return self

    def __len__(self) -> int:
        return self.plan.steps * self.plan.micro_batches

    def set_epoch(self, epoch: int) -> None:
        """Another epoch starts at its beginning; the one that is under way goes on."""
        if epoch != self._epoch:
            self._epoch, self._start, self._position = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "position": self._position, "rows": len(self.rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["rows"] != len(self.rows):
            raise ValueError(
                f"the checkpoint was made on {state['rows']} rows, the data now have {len(self.rows)}"
            )
        self._epoch, self._start = state["epoch"], state["position"]
        self._position = self._start

    def __iter__(self) -> Iterator[Batch]:
        """The whole epoch; the first time after ``load_state_dict`` what is left of it."""
        start = self._start if self._start < len(self) else 0
        self._start = 0
        return self._walk(start)

    def _walk(self, start: int) -> Iterator[Batch]:
        self._position = start
        number, offset = divmod(start, self.micro_batches)
        for step in self.plan.epoch(self._epoch)[number:]:
            for batch in self._step(step, offset):
                self._position += 1
                yield batch
            offset = 0

    def _step(self, step: Sequence[int], offset: int) -> Iterator[Batch]:
        drawn = _Step(
            step,
            self.plan.groups(step, self.rank),
            totals_of([self.rows[i] for i in step], self.micro_batches),
        )
        for place in range(offset, len(drawn.groups)):
            batch = self._batch(drawn.groups[place], drawn.totals)
            yield replace(batch, probes=self._probes(drawn)) if place == 0 else batch

    def _probes(self, step: _Step) -> Probes | None:
        if not self.probes.kinds:
            return None
        return Probes(
            step=self._own(step) if "step" in self.probes.kinds else None,
            mismatched=self._mismatched(step) if "mismatched" in self.probes.kinds else None,
        )

    def _own(self, step: _Step) -> tuple[Batch, ...]:
        if len(step.groups) == 1:
            return ()
        return tuple(self._batch(group, step.totals) for group in step.groups)

    def _mismatched(self, step: _Step) -> tuple[Batch, ...]:
        partner = partners(self.rows, step.rows)
        collator = replace(self.collator, ref=None)
        probes = []
        for group in step.groups:
            rows = [
                mismatched(self.rows[i], self.rows[partner[i]], self.probes.limits, self.probes.bos_id)
                for i in group
            ]
            probes.append(collator(rows or [self.rows[self._filler]], group or (-1,), step.totals))
        return tuple(probes)

    def _batch(self, group: Group, totals: StepTotals) -> Batch:
        if not group:
            return self.collator([self.rows[self._filler]], [-1], totals)
        return self.collator([self.rows[i] for i in group], group, totals)


@dataclass(frozen=True)
class _Step:
    rows: Sequence[int]
    groups: Sequence[Group]
    totals: StepTotals


def totals_of(rows: Sequence[Row], micro_batches: int) -> StepTotals:
    """The denominators of a step: weights, and weighted tokens of responses and of their prompts."""
    tokens = prompt_tokens = scored_tokens = 0.0
    for row in rows:
        none, alike = (0.0,) * len(row.responses), (1 / len(row.responses),) * len(row.responses)
        tokens += row.weight * _tokens(row, none if row.demo is None else row.demo)
        scored_tokens += row.weight * _tokens(row, alike if row.mass is None else row.mass)
        prompt_tokens += row.weight * (len(row.prompt) - 1)  # the first token is never predicted
    if not sum(row.weight for row in rows):  # nothing but fillers, whose sums are 0
        return StepTotals(1.0, 1.0, micro_batches, 1.0, 1.0)
    return StepTotals(sum(row.weight for row in rows), tokens, micro_batches, prompt_tokens, scored_tokens)


def _tokens(row: Row, shares: Sequence[float]) -> float:
    """Trained tokens of a row's responses, by their shares."""
    lengths = [len(response) - row.skip for response in row.responses]
    return sum(float(share) * length for share, length in zip(shares, lengths, strict=True))


class EvalLoader:
    """Each row once, in buckets of length, nothing shuffled; totals are those of the whole set.

    Every rank has the same number of micro-batches (filler where rows run out).
    """

    def __init__(
        self, rows: Sequence[Row], sizes: Sizes, collator: Collator, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self.rows = rows
        self.collator = collator
        costs = tuple(collator.cost(row) for row in rows)
        plan = Plan(costs, replace(sizes, batch_size=len(rows), drop_last=False), world_size)
        self._groups = plan.groups(range(len(rows)), rank)
        self._filler = min(range(len(rows)), key=lambda i: (costs[i], i))
        self._totals = totals_of(rows, plan.micro_batches)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Batch]:
        for group in self._groups:
            index = group or (-1,)
            yield self.collator(
                [self.rows[i if i >= 0 else self._filler] for i in index], index, self._totals
            )
