"""Everything is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("query", "all")
@dataclass(frozen=True)
class All:
    """Whatever the data hold, or the run samples, goes to the annotator."""

    chooses: ClassVar[bool] = False  # some of the pool are labelled, not all
    reads_odds: ClassVar[bool] = False
    reads_features: ClassVar[bool] = False
    several: ClassVar[bool] = False
    budget: ClassVar[None] = None
