"""Samples of a whole step matched by rank: optimal transport on a line, whatever masses they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Batch, Step


@dataclass(frozen=True)
class Samples:
    """Values of a step's rows, E of each, and their masses, row weights included (any total)."""

    value_NE: Tensor
    mass_NE: Tensor

    @property
    def empty(self) -> bool:
        return not bool((self.mass_NE > 0).any())


@dataclass(frozen=True)
class Matching:
    """S pieces of mass: ``share_S`` of the sample ``own_S`` meets the sample ``other_S``.

    Both are flat indices; the shares of one sample sum to 1.
    """

    own_S: Tensor
    other_S: Tensor
    share_S: Tensor


def by_rank(own: Samples, other: Samples) -> Matching:
    """Each quantile with the same quantile: between equally many equal masses, sorted with sorted.

    That is the cheapest matching for every convex cost of differences. Ties stand in the order of the table.
    Sorted and summed up on the CPU, where float64 exists and sums have one order.
    """
    (own_at_N, own_order_N), (other_at_M, other_order_M) = _quantiles(own), _quantiles(other)
    end_S = torch.cat([own_at_N, other_at_M]).sort().values
    mass_S = end_S.diff(prepend=end_S.new_zeros(1))
    end_S, mass_S = end_S[mass_S > 0], mass_S[mass_S > 0]
    middle_S = end_S - mass_S / 2
    own_S = own_order_N[torch.searchsorted(own_at_N, middle_S)]
    other_S = other_order_M[torch.searchsorted(other_at_M, middle_S)]
    whole = own.mass_NE.cpu().flatten().double()
    share_S, home = mass_S * whole.sum() / whole[own_S], own.value_NE
    return Matching(own_S.to(home.device), other_S.to(home.device), share_S.to(home))


def _quantiles(samples: Samples) -> tuple[Tensor, Tensor]:
    """Where each sample's mass ends, of all mass, and which sample it is, in the order of values."""
    order_N = samples.value_NE.cpu().flatten().argsort(stable=True)
    end_N = samples.mass_NE.cpu().flatten().double()[order_N].cumsum(0)
    return end_N / end_N[-1], order_N


def matched_cost(
    now_BE: Tensor,
    batch: Batch,
    step: Step,
    sides: tuple[Samples, Samples],
    curve: Callable[[Tensor], Tensor],
    counted: float = 1.0,
) -> Tensor:
    """The mean of ``curve(own - other)`` over what each of the batch's samples meets, BE; 0 without mass.

    ``sides``: own and other samples of the whole step. ``now_BE`` are the batch's own ones again, with
    gradient. ``counted``: how much of the value is counted here, where the other side counts the rest; the
    gradient is whole.
    """
    own, other = sides
    found = by_rank(own, other)
    slot_NE = torch.full(own.value_NE.shape, -1, device=now_BE.device)
    there_B = (step.index_N == batch.index_B[:, None]).any(1)
    width = min(now_BE.shape[1], own.value_NE.shape[1])
    at_BE = torch.arange(now_BE.numel(), device=now_BE.device).view(now_BE.shape)
    slot_NE[step.place_B(batch.index_B)[there_B], :width] = at_BE[there_B, :width]
    slot_S = slot_NE.flatten()[found.own_S]
    here_S = slot_S >= 0
    slot_S, own_S, other_S = slot_S[here_S], found.own_S[here_S], found.other_S[here_S]
    other_S = other.value_NE.flatten()[other_S].to(now_BE.dtype)
    cost_S = curve(now_BE.flatten()[slot_S] - other_S)
    if counted < 1:
        cost_S = cost_S - (1 - counted) * curve(own.value_NE.flatten()[own_S].to(now_BE.dtype) - other_S)
    share_S = found.share_S[here_S].to(now_BE.dtype)
    return torch.zeros_like(now_BE).flatten().index_add(0, slot_S, share_S * cost_S).view(now_BE.shape)


def tables(step: Step, batch: Batch, own: Samples, other: Samples) -> tuple[tuple[Tensor, ...], Tensor]:
    """For texts: the share that each of a row's samples has in each of the step's others, and those."""
    found = by_rank(own, other)
    share = own.mass_NE.new_zeros(own.mass_NE.numel(), other.mass_NE.numel())
    share.index_put_((found.own_S, found.other_S), found.share_S.to(share.dtype), accumulate=True)
    share_NEM = share.view(*own.mass_NE.shape, -1)
    return tuple(share_NEM[step.place_B(batch.index_B)]), other.value_NE.flatten()
