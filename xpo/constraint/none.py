"""No limit on costs."""

from __future__ import annotations

from dataclasses import dataclass

from xpo.constraint.base import Constraint
from xpo.registry import register


@register("constraint", "none")
@dataclass(frozen=True)
class NoConstraint(Constraint):
    """The reward alone; costs are not read."""
