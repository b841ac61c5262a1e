"""Who answers, and who is asked about it."""

from __future__ import annotations

import math

import torch


def seated(agents: int, generator: torch.Generator) -> list[int]:
    """All agents in the order in which a turn's questions find them."""
    return torch.randperm(agents, generator=generator).tolist()


def peers_of(center: int, agents: int, number: int, near: bool, generator: torch.Generator) -> list[int]:
    """``number`` others: drawn ones, or with ``near`` those who sit nearest on a square grid.

    Agents sit row by row. Of those who are equally far the draw decides.
    """
    order = [one for one in torch.randperm(agents, generator=generator).tolist() if one != center]
    if near:
        width = math.isqrt(agents - 1) + 1
        order.sort(key=lambda one: _squared(center, one, width))
    return order[:number]


def _squared(one: int, other: int, width: int) -> int:
    rows, columns = one // width - other // width, one % width - other % width
    return rows * rows + columns * columns
