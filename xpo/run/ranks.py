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
