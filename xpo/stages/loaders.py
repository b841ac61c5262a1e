"""Rows to loaders: whole populations as one fixed batch, everything else through the step plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import Probes, StepLoader, totals_of
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
    return collator([rows[i] for i in mine], list(mine), totals_of(rows, 1))


def training_loader(
    rows: Rows, sizes: Sizes, collator: Collator, *, ranks: tuple[int, int], probes: Probes
) -> Any:
    """The loader of a training stage; ``ranks`` is (rank, world size)."""
    rank, world_size = ranks
    if rows.population:
        return PopulationLoader(rows, collator, rank, world_size, probes=probes.rows != "none")
    return StepLoader(rows.train, sizes, collator, rank=rank, world_size=world_size, probes=probes)


def probe_batches(
    rows: Rows, sizes: Sizes, collator: Collator, ranks: tuple[int, int], probes: Probes
) -> tuple[Batch, ...]:
    """The rows of a whole-step statistic over the held-out rows, taken as one step."""
    rank, world_size = ranks
    if rows.population:
        first = next(iter(PopulationLoader(rows, collator, rank, world_size, probes=True)))
    else:
        whole = dataclasses.replace(sizes, batch_size=len(rows.test))
        first = next(
            iter(StepLoader(rows.test, whole, collator, rank=rank, world_size=world_size, probes=probes))
        )
    assert first.probes is not None
    return first.probes
