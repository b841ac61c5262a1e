"""Means over the samples of one prompt. Absent responses (mask all false) count in none."""

from __future__ import annotations

from torch import Tensor

from xpo.contracts import masked


def present_BK(mask_BKT: Tensor) -> Tensor:
    """True where there is a response."""
    return mask_BKT.any(-1)


def count_B1(mask_BKT: Tensor) -> Tensor:
    """How many responses a prompt has."""
    return present_BK(mask_BKT).sum(-1, keepdim=True)


def group_mean_B1(total_BK: Tensor, mask_BKT: Tensor) -> Tensor:
    """The mean over a prompt's responses."""
    return masked(total_BK, present_BK(mask_BKT)).sum(-1, keepdim=True) / count_B1(mask_BKT).clamp(min=1)


def others_mean_BK(total_BK: Tensor, mask_BKT: Tensor) -> Tensor:
    """The mean over a prompt's other responses; 0 where there are none."""
    given_BK = masked(total_BK, present_BK(mask_BKT))
    others_BK = given_BK.sum(-1, keepdim=True) - given_BK
    return others_BK / (count_B1(mask_BKT) - 1).clamp(min=1)


def with_others(values_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
    """The values of responses that have others to be compared with, else 0."""
    return values_BKT * (count_B1(mask_BKT) > 1)[..., None]


def outside_mean(values_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
    """Times (n - 1) / n: what is left of a response's value when the mean over all n is taken off."""
    count_B11 = count_B1(mask_BKT)[..., None]
    return values_BKT * (count_B11 - 1) / count_B11.clamp(min=1)


def outside_mean_text(x: str) -> str:
    """``outside_mean`` as an expression."""
    return f"({x}) * (responses - 1) / responses"
