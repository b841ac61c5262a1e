"""Weighted sums of metrics: kept on the device, added up over ranks once per log step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from xpo.run.ranks import distributed, sum_over_ranks

Ratio = tuple[Tensor, Tensor | float]
"""A metric before it is reduced: numerator and denominator. The metric is their quotient."""

_COMPACT = 256


class Accumulator:
    """Sums of numerators and denominators by name.

    ``add`` never waits for the device; ``flush`` does so once for all metrics, adds them up over all
    ranks, and starts anew. A metric whose denominator is 0 (no such response was seen) is left out.
    """

    wanted: bool = True
    """False in a step whose metrics nobody will read; who measures at a cost may then leave it."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[list[Tensor], list[Tensor | float]]] = {}

    def add(self, name: str, numerator: Tensor, denominator: Tensor | float = 1.0) -> None:
        """Add to one metric; both are scalars."""
        numerators, denominators = self._sums.setdefault(name, ([], []))
        numerators.append(numerator.detach())
        denominators.append(denominator.detach() if isinstance(denominator, Tensor) else denominator)
        if len(numerators) >= _COMPACT:
            numerators[:] = [_total(numerators)]
            denominators[:] = [_total(denominators)]

    def add_all(self, metrics: Mapping[str, Ratio]) -> None:
        """Add to several metrics."""
        for name, (numerator, denominator) in metrics.items():
            self.add(name, numerator, denominator)

    def flush(self) -> dict[str, float]:
        """The metrics since the last flush, over all ranks; every rank has to call it."""
        names = sorted(_all_names(list(self._sums)))
        sums = torch.zeros(2, len(names), dtype=torch.float64)
        for column, name in enumerate(names):
            numerators, denominators = self._sums.get(name, ([], []))
            sums[0, column] = _total(numerators).cpu()
            sums[1, column] = _total(denominators).cpu()
        self._sums = {}
        sums = sum_over_ranks(sums)
        return {name: (sums[0, i] / sums[1, i]).item() for i, name in enumerate(names) if sums[1, i] != 0}


def derived(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics, with each margin that no row could give as the difference of its two sides' means.

    Rows of binary feedback hold one response each, so their margins exist only over a whole log step.
    """
    result = dict(metrics)
    for group, margin in (
        ("rewards/{}", "rewards/margins"),
        ("common/log_ratio_{}", "common/log_ratio_margin"),
    ):
        sides = [group.format(side) for side in ("chosen", "rejected")]
        if margin not in result and all(side in result for side in sides):
            result[margin] = result[sides[0]] - result[sides[1]]
    return result


def _total(values: list[Tensor] | list[Tensor | float] | list[float]) -> Tensor:
    tensors = [value for value in values if isinstance(value, Tensor)]
    floats = sum(value for value in values if not isinstance(value, Tensor))
    if not tensors:
        return torch.tensor(floats, dtype=torch.float64)
    wide = torch.float32 if tensors[0].device.type == "mps" else torch.float64
    return torch.stack([tensor.to(wide) for tensor in tensors]).sum() + floats


def _all_names(names: list[str]) -> set[str]:
    # ranks may have seen different kinds of rows, but must add up the same columns
    if not distributed():
        return set(names)
    gathered: list[list[str]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, names)
    return {name for part in gathered for name in part}
