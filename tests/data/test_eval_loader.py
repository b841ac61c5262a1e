"""Held-out rows: each once, on whatever ranks there are."""

from __future__ import annotations

import pytest

from tests.data.test_loader import dataset, ids, order
from xpo.data.collate import Collator
from xpo.data.loader import EvalLoader
from xpo.data.plan import Sizes


@pytest.mark.parametrize("count", [1, 2, 11])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_row_once(count: int, world: int) -> None:
    rows = dataset(count)
    ranks = [
        EvalLoader(rows, Sizes(4, 24), Collator(0), rank=rank, world_size=world) for rank in range(world)
    ]
    assert len({len(rank) for rank in ranks}) == 1
    batches = [batch for rank in ranks for batch in rank]
    assert sorted(i for batch in batches for i in ids(batch)) == list(range(count))
    assert sum(batch.weight_B.sum().item() for batch in batches) == batches[0].totals.rows
    assert order(ranks[0]) == order(ranks[0])
