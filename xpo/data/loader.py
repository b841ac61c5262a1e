"""Iterables over micro-batches that Lightning can resume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.plan import Sizes

StatisticRows = Literal["none", "step", "mismatched"]


class StepLoader:
    """The training rows as micro-batches; ``micro_batches`` of them make one optimizer step.

    Give ``accumulate_grad_batches=loader.micro_batches`` to Lightning.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        sizes: Sizes,
        collator: Collator,
        *,
        rank: int = 0,
        world_size: int = 1,
        statistic_rows: StatisticRows = "none",
        max_length: int | None = None,
    ) -> None: ...

    def __len__(self) -> int: ...  # micro-batches of one epoch and rank
    def __iter__(self) -> Iterator[Batch]: ...
    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class EvalLoader:
    """Each row once, in buckets of length, nothing shuffled; totals are those of the whole set."""

    def __init__(
        self, rows: Sequence[Row], sizes: Sizes, collator: Collator, *, rank: int = 0, world_size: int = 1
    ) -> None: ...

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Batch]: ...
