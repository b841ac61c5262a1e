"""The rules of compatibility. Each says what the parts declare and why they do not fit."""

from __future__ import annotations

from xpo.compose.rules import beside, head, labels, lists, parts, reward, rows, shape, step, training
from xpo.compose.rules.reason import Reason, Rule

__all__ = ["RULES", "Reason", "Rule"]

RULES: tuple[Rule, ...] = (
    *reward.RULES,
    *rows.RULES,
    *lists.RULES,
    *shape.RULES,
    *beside.RULES,
    *step.RULES,
    *labels.RULES,
    *head.RULES,
    *training.RULES,
    *parts.RULES,
)
