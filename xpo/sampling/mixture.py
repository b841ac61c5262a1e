"""Responses of the policy and its reference together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sampling.base import Sampled


@register("sampling", "mixture")
@dataclass(frozen=True)
class Mixture(Sampled):
    """Each token is drawn from policy^(1 - weight) reference^weight, renormalised.

    Munos et al. 2023 (Nash-MD), arXiv 2312.00886, section 7. ``weight`` 0 would be the policy
    (sampling=on_policy), 1 the reference (sampling=reference).
    """

    by_policy: ClassVar[bool] = False  # what is trained on is distributed as what the policy says
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth

    weight: float = 0.125

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.weight < 1:
            raise ValueError(f"weight must be above 0 and below 1, got {self.weight}")
