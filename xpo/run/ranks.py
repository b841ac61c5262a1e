"""Which process this is, before and after Lightning has started the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def rank() -> int:
    """This process's rank; 0 where there is only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def world_size(trainer: Any) -> int:
    """How many processes a run's trainer settings make."""
    return trainer.devices * trainer.nodes


def distributed() -> bool:
    """Are several processes connected by now?"""
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def sum_over_ranks(values: Tensor) -> Tensor:
    """A tensor summed over all ranks, on the device that it came from."""
    import torch

    if not distributed():
        return values
    moved = values.to("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(moved)
    return moved.to(values.device)


def rows_of_all_ranks(values_NF: Tensor, weight_N: Tensor, index_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of all ranks in the order of their index, fillers (index below 0) left out."""
    import torch

    table = torch.cat([values_NF.double(), weight_N.double()[:, None], index_N.double()[:, None]], 1)
    if distributed():
        table = _gathered(table)
    table = table[table[:, -1] >= 0]
    table = table[table[:, -1].argsort()]
    kept = table[:, :-2].to(values_NF.dtype), table[:, -2].to(weight_N.dtype)
    return *kept, table[:, -1].long()


def _gathered(table: Tensor) -> Tensor:
    """The tables of all ranks below each other; they may differ in length."""
    import torch

    moved = table.to("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    count = torch.tensor([len(moved)], device=moved.device)
    counts = [torch.zeros_like(count) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(counts, count)
    most = max(int(number) for number in counts)
    padded = torch.cat([moved, moved.new_full((most - len(moved), moved.shape[1]), -1.0)])
    tables = [torch.empty_like(padded) for _ in counts]
    torch.distributed.all_gather(tables, padded)
    return torch.cat(tables).to(table.device)
