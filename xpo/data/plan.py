"""Which rows make an optimizer step, and which of them share a micro-batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The two sizes of a config, and how an epoch is cut by them.

    ``batch_size``: prompts per optimizer step, all ranks. ``tokens_per_micro_batch``: padded positions.
    """

    batch_size: int
    tokens_per_micro_batch: int
    bucket: bool = True
    drop_last: bool = False
    seed: int = 0
