"""Rows to one padded micro-batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from xpo.contracts import Batch, Row, StepTotals


class RefLogps(Protocol):
    """Cached reference log-probs: for a row's index, K tensors (or lists) of that response's length."""

    def __getitem__(self, index: int, /) -> Sequence[Sequence[float] | Tensor]: ...


@dataclass(frozen=True)
class Collator:
    """What stays the same from micro-batch to micro-batch."""

    pad_id: int
    prompt_edges: bool = False
    ref: RefLogps | None = None

    def __call__(self, rows: Sequence[Row], index: Sequence[int], totals: StepTotals) -> Batch:
        """Pad rows to one K and T. ``index`` is each row's place in the data set, -1 for a filler row."""
        raise NotImplementedError
