"""Responses of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sampling.base import Sampled


@register("sampling", "reference")
@dataclass(frozen=True)
class Reference(Sampled):
    """The reference answers, whatever the policy has become."""

    by_policy: ClassVar[bool] = False  # what is trained on is distributed as what the policy says
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth
    weight: ClassVar[float] = 1.0  # of the reference, beside the policy
