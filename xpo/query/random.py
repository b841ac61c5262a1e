"""As many as the budget allows, drawn."""

from __future__ import annotations

from dataclasses import dataclass

from xpo.query.base import Budgeted
from xpo.registry import register


@register("query", "random")
@dataclass(frozen=True)
class Random(Budgeted):
    """A uniform draw without replacement: what any other choice must beat."""
