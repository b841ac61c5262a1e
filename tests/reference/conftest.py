"""A small policy and batches of token rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xpo.contracts import Batch, StepTotals
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.scoring.pack import pack

ROWS = [
    ([1, 20], [[30, 31, 32, 2], [30, 2]]),
    ([1, 21, 22, 23], [[40, 2]]),
    ([1], [[50, 51, 2], [52, 53, 54, 55, 2], [50, 2]]),
]


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return train_bpe(["a b c"], 270)


@pytest.fixture
def policy(tokenizer: Any) -> Any:
    return Scratch(hidden=16, heads=2, layers=1).load(seed=0, tokenizer=tokenizer).model


def batch_of(index: list[int]) -> Batch:
    """Rows by index; -1 is a filler row."""
    packed, mask_BKT = pack([ROWS[i] for i in index], pad_id=0)
    weight_B = torch.tensor([float(i >= 0) for i in index])
    return Batch(packed, mask_BKT, weight_B, torch.tensor(index), StepTotals(len(index), 1.0, 1))


@pytest.fixture
def batches() -> list[Batch]:
    return [batch_of([2, 0]), batch_of([1, -1])]


@pytest.fixture
def both() -> Batch:
    return batch_of([0, 1, 2])
