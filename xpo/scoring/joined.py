"""Rows that hold two responses one after the other, for heads that read both at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Batch, Packed
from xpo.movable import Movable
from xpo.scoring.pack import TokenRow, pack


@dataclass(frozen=True)
class Joined(Movable):
    """Every ordered pair of a prompt's responses: prompt, response i, a separator, response j.

    Packed whole, as a trie: the prompt is computed once, and so is i before all that follow it. ``mask_BRT``
    is true where pair r has a token (i's, the separator, j's); ``pair_BKK`` is the r of (i, j), 0 for none.
    """

    packed: Packed
    mask_BRT: Tensor
    pair_BKK: Tensor

    def as_batch(self, batch: Batch) -> Batch:
        """``batch`` with pairs for responses, for those who read states."""
        return dataclasses.replace(batch, packed=self.packed, mask_BKT=self.mask_BRT)

    def table(self, value_BR: Tensor) -> Tensor:
        """BKK: the value of each ordered pair; what stands at absent ones is any."""
        return value_BR.gather(1, self.pair_BKK.flatten(1)).view(self.pair_BKK.shape)


def join(rows: Sequence[TokenRow], separator: int, pad_id: int) -> Joined:
    """Raises ``ValueError`` for a row with fewer than two responses."""
    size = max(len(responses) for _, responses in rows)
    pair_BKK = torch.zeros(len(rows), size, size, dtype=torch.long)
    pairs = []
    for b, (prompt, responses) in enumerate(rows):
        if len(responses) < 2:
            raise ValueError(f"row {b} has one response, and two are read together")
        order = list(_pairs(len(responses)))
        for r, (i, j) in enumerate(order):
            pair_BKK[b, i, j] = r
        pairs.append((prompt, [[*responses[i], separator, *responses[j]] for i, j in order]))
    packed, mask_BRT = pack(pairs, pad_id=pad_id, whole=True)
    return Joined(packed, mask_BRT, pair_BKK)


def _pairs(size: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(size) for j in range(size) if i != j)


def joined_cost(row: TokenRow) -> int:
    """Positions of a packed row, shared beginnings of the second responses not counted off."""
    prompt, responses = row
    lengths = [len(response) for response in responses]
    return len(prompt) + len(lengths) * (1 + sum(lengths))


def longest_joined(row: TokenRow) -> int:
    """Tokens of the prompt and its two longest responses, one after the other."""
    prompt, responses = row
    return len(prompt) + 1 + sum(sorted(map(len, responses))[-2:])
