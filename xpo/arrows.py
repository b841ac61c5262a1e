"""Which arrow a composition trains by."""

from __future__ import annotations

from typing import Any

from xpo.arrow import OffPolicy
from xpo.explain.credit import credit
from xpo.explain.formula import Formula, formula
from xpo.explain.on_policy_formula import on_policy_formula
from xpo.on_policy.arrow import OnPolicy

Arrow = OffPolicy | OnPolicy


def arrow_of(parts: Any) -> Arrow:
    """From anything that has the groups as attributes, such as a Composition."""
    kind = OnPolicy if parts.objective.policy_gradient else OffPolicy
    return kind.of(parts, parts.reference.given)


def formula_of(arrow: Arrow) -> Formula:
    """What it trains, as definitions."""
    return on_policy_formula(arrow) if isinstance(arrow, OnPolicy) else formula(arrow)


def credit_of(arrow: Arrow) -> tuple[tuple[str, str], ...]:
    """How its advantages are made, as definitions; none where there are no advantages."""
    return credit(arrow) if isinstance(arrow, OnPolicy) else ()
