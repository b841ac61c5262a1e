"""Responses as the data has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("sampling", "off_policy")
@dataclass(frozen=True)
class OffPolicy:
    """The gradient is taken on the responses of the data set; nothing is sampled during training."""

    samples: ClassVar[bool] = False
