"""The rules of compatibility. Each says what the parts declare and why they do not fit."""

from __future__ import annotations

from functools import wraps

from xpo.compose.composition import Composition
from xpo.compose.rules import (
    beside,
    head,
    labels,
    lists,
    on_policy,
    pairs,
    parts,
    players,
    query,
    revision,
    reward,
    rounds,
    rows,
    samples,
    shape,
    society,
    step,
    training,
    unread,
    worth,
)
from xpo.compose.rules.reason import Reason, Rule

__all__ = ["RULES", "Reason", "Rule"]


def of_given_rows(rule: Rule) -> Rule:
    """The rule for objectives of given rows alone."""

    @wraps(rule)
    def limited(c: Composition) -> Reason | None:
        return None if c.objective.policy_gradient else rule(c)

    return limited


def of_samples(rule: Rule) -> Rule:
    """The rule for policy gradients alone."""

    @wraps(rule)
    def limited(c: Composition) -> Reason | None:
        return rule(c) if c.objective.policy_gradient else None

    return limited


RULES: tuple[Rule, ...] = (
    *players.FIRST,
    *samples.RULES,
    *players.RULES,
    *rounds.RULES,
    *society.RULES,
    *map(of_given_rows, reward.RULES),
    *map(of_given_rows, rows.OF_ROWS),
    *rows.RULES,
    *training.FIRST,
    *revision.RULES,
    *map(of_given_rows, lists.RULES),
    *map(of_given_rows, pairs.RULES),
    *map(of_given_rows, shape.OF_ROWS),
    *shape.RULES,
    *map(of_given_rows, beside.RULES),
    *map(of_given_rows, step.RULES),
    *map(of_given_rows, labels.RULES),
    *map(of_given_rows, head.RULES),
    *map(of_given_rows, training.RULES),
    *map(of_given_rows, parts.RULES),
    *map(of_samples, worth.RULES),
    *map(of_samples, on_policy.RULES),
    *unread.RULES,
    *query.RULES,
)
