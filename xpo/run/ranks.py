"""Which process this is, before and after Lightning has started the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
    """The rows of all ranks in the order of their index, fillers (index below 0) left out.

    Ranks may differ in rows and in columns: zeros fill the shorter rows up.
    """
    import torch

    parts = [part.cpu() if part.device.type == "mps" else part for part in (index_N, weight_N, values_NF)]
    table = torch.cat([part.double().view(len(part), -1) for part in parts], 1)  # exact for any index
    if distributed():
        table = _gathered(table)
    table = table[table[:, 0] >= 0]
    table = table[table[:, 0].argsort()]
    return table[:, 2:].to(values_NF), table[:, 1].to(weight_N), table[:, 0].long().to(index_N.device)


def rows_from_all_ranks(mine: dict[int, Any]) -> list[Any]:
    """What each rank has for some places, of all ranks in the order of the places."""
    import torch

    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, mine)
    whole = {place: row for part in parts for place, row in part.items()}
    return [whole[place] for place in sorted(whole)]


def stacked(tables: Sequence[Tensor]) -> Tensor:
    """Tables below each other, their rows filled up with zeros to the longest one's."""
    import torch
    from torch.nn.functional import pad

    most = max(table.shape[1] for table in tables)
    return torch.cat([pad(table, (0, most - table.shape[1])) for table in tables])


def _gathered(table: Tensor) -> Tensor:
    """The tables of all ranks below each other; what is missing has the index -1 or the value 0."""
    import torch

    moved = table.to("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    shape = torch.tensor(moved.shape, device=moved.device)
    shapes = [torch.zeros_like(shape) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(shapes, shape)
    rows, columns = torch.stack(shapes).amax(0).tolist()
    padded = moved.new_zeros(rows, columns)
    padded[:, 0] = -1.0
    padded[: len(moved), : moved.shape[1]] = moved
    tables = [torch.empty_like(padded) for _ in shapes]
    torch.distributed.all_gather(tables, padded)
    return torch.cat(tables).to(table.device)
