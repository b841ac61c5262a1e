"""Rows to loaders: whole populations as one fixed batch, everything else through the step plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from xpo.contracts import Batch, Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows, StepLoader, totals_of
from xpo.data.plan import Sizes
from xpo.stages.source import Rows


class PopulationLoader:
    """The same exact batch every optimizer step: collated once, with the probes of a whole-step statistic.

    Ranks take turns over the rows. There is no order to resume, so its state is empty.
    """

    micro_batches = 1

    def __init__(self, rows: Rows, collator: Collator, ranks: tuple[int, int], kinds: frozenset[str]) -> None:
        batch = _whole(rows.train, collator, *ranks)
        if kinds:
            mismatched = None
            if "mismatched" in kinds:
                assert rows.probes is not None
                mismatched = (_whole(rows.probes, dataclasses.replace(collator, ref=None), *ranks),)
            probes = Probes(() if "step" in kinds else None, mismatched)
            batch = dataclasses.replace(batch, probes=probes)
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
    rows: Rows, sizes: Sizes, collator: Collator, *, ranks: tuple[int, int], probes: ProbeRows
) -> Any:
    """The loader of a training stage; ``ranks`` is (rank, world size)."""
    if rows.population:
        return PopulationLoader(rows, collator, ranks, probes.kinds)
    rank, world_size = ranks
    return StepLoader(rows.train, sizes, collator, rank=rank, world_size=world_size, probes=probes)


def probe_batch(
    rows: Rows, sizes: Sizes, collator: Collator, ranks: tuple[int, int], probes: ProbeRows
) -> Batch:
    """A micro-batch with the probes of whole-step statistics over the held-out rows, taken as one step."""
    held_out = dataclasses.replace(rows, train=rows.test)
    whole = dataclasses.replace(sizes, batch_size=max(1, len(rows.test)))
    return next(iter(training_loader(held_out, whole, collator, ranks=ranks, probes=probes)))
