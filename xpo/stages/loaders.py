"""Rows to loaders: whole populations as one fixed batch, everything else through the step plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from xpo.contracts import Batch, Row, StepTotals
from xpo.data.collate import Collator
from xpo.data.loader import StepLoader
from xpo.data.plan import Sizes
from xpo.stages.source import Rows


class PopulationLoader:
    """The same exact batch every optimizer step: collated once, with the probes of a whole-step statistic.

    Ranks take turns over the rows. There is no order to resume, so its state is empty.
    """

    micro_batches = 1

    def __init__(self, rows: Rows, collator: Collator, rank: int, world_size: int, probes: bool) -> None:
        batch = _whole(rows.train, collator, rank, world_size)
        if probes:
            assert rows.probes is not None
            probe = _whole(rows.probes, dataclasses.replace(collator, ref=None), rank, world_size)
            batch = dataclasses.replace(batch, probes=(probe,))
        self._batch = batch

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        yield self._batch

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is the same."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _whole(rows: Sequence[Row], collator: Collator, rank: int, world_size: int) -> Batch:
    mine = range(rank, len(rows), world_size)
    totals = StepTotals(rows=sum(row.weight for row in rows), tokens=sum(map(_tokens, rows)), micro_batches=1)
    return collator([rows[i] for i in mine], list(mine), totals)


def _tokens(row: Row) -> float:
    if row.demo is None:
        return 0.0
    return row.weight * sum(float(m) * len(r) for m, r in zip(row.demo, row.responses, strict=True))


def training_loader(
    rows: Rows, sizes: Sizes, collator: Collator, *, ranks: tuple[int, int], statistic_rows: Any
) -> Any:
    """The loader of a training stage; ``ranks`` is (rank, world size)."""
    rank, world_size = ranks
    if rows.population:
        return PopulationLoader(rows, collator, rank, world_size, probes=statistic_rows != "none")
    return StepLoader(
        rows.train, sizes, collator, rank=rank, world_size=world_size, statistic_rows=statistic_rows
    )


def probe_batches(
    rows: Sequence[Row], sizes: Sizes, collator: Collator, ranks: tuple[int, int]
) -> tuple[Batch, ...]:
    """Mismatched rows of a whole set taken as one step, for evaluation."""
    whole = dataclasses.replace(sizes, batch_size=len(rows))
    loader = StepLoader(
        rows, whole, collator, rank=ranks[0], world_size=ranks[1], statistic_rows="mismatched"
    )
    first = next(iter(loader))
    assert first.probes is not None
    return first.probes
