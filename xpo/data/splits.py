"""Order and hold-out of records: by prompt, so that no prompt stands on both sides."""

from __future__ import annotations

import random
from collections.abc import Sequence

from xpo.data.counts import Counts
from xpo.data.record import Record


def shuffled(records: list[Record], seed: int | None) -> list[Record]:
    """The file's order, or another one that depends on the seed alone."""
    if seed is None:
        return records
    order = list(records)
    random.Random(seed).shuffle(order)
    return order


def held_out(records: Sequence[Record], share: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Train and test, with ``share`` of the prompts (at least one, never all) in test; order is kept."""
    prompts = list(dict.fromkeys(record.prompt for record in records))
    number = (
        0 if share == 0.0 or len(prompts) < 2 else max(1, min(len(prompts) - 1, round(share * len(prompts))))
    )
    tested = set(random.Random(seed).sample(prompts, number))
    return (
        [record for record in records if record.prompt not in tested],
        [record for record in records if record.prompt in tested],
    )


def mark_shared(train: Sequence[Record], test: Sequence[Record], counts: Counts) -> None:
    """Say how many test rows have a prompt that train has too; they stay."""
    seen = {record.prompt for record in train}
    shared = sum(record.prompt in seen for record in test)
    if shared:
        counts.note("prompt also in train", shared)
