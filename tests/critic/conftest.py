"""A random model, ragged rows of it, and what an ordinary forward pass of each response says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.model.scratch import Scratch
from xpo.scoring.parts import decoder

ROWS = [
    Row([1, 5, 6, 7], [[7, 8, 9, 10, 2], [7, 8, 2]], scores=(1.0, -0.5)),
    Row([1, 9], [[3, 2], [12, 13, 14, 2], [3, 13, 2]], scores=(0.3, 0.9, -1.0)),
    Row([1], [[11, 2]], scores=(0.2,)),
]


@pytest.fixture
def rows() -> list[Row]:
    return ROWS


@pytest.fixture
def batch_of() -> Callable[[list[Row]], Batch]:
    return lambda rows: Collator(0)(rows, range(len(rows)), totals_of(rows, 1))


class Fifteen:
    """As much of a tokenizer as a model is built from."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 0
    pad_token = "<pad>"

    def __len__(self) -> int:
        return 15


@pytest.fixture
def model() -> Any:
    made = Scratch(hidden=8, layers=2, heads=2, max_length=32, tie_embeddings=False).build(Fifteen(), seed=1)
    with torch.no_grad():  # far from uniform, so that a wrong token or position shows
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return made


@pytest.fixture
def states_of() -> Callable[[Any, list[int]], Tensor]:
    """Last hidden states of one unpadded row of tokens, SD."""
    return lambda model, ids: decoder(model)(input_ids=torch.tensor([ids])).last_hidden_state[0]
