"""Which process this is, before and after Lightning has started the others."""

from __future__ import annotations

import os
from typing import Any


def rank() -> int:
    """This process's rank; 0 where there is only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def world_size(trainer: Any) -> int:
    """How many processes a run's trainer settings make."""
    return trainer.devices * trainer.nodes


def sum_over_ranks(values: Any) -> Any:
    """A tensor summed over all ranks; as it is where there is one."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
    return values
