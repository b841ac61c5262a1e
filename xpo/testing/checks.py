"""The list of checks of each group, and the tools that checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from xpo.testing import (
    checks_advantage,
    checks_anchor,
    checks_annotator,
    checks_common,
    checks_constraint,
    checks_critic,
    checks_critic_option,
    checks_declared,
    checks_divergence,
    checks_feedback,
    checks_gradient,
    checks_head,
    checks_length,
    checks_lists,
    checks_objective,
    checks_penalty,
    checks_policy_loss,
    checks_query,
    checks_reward,
    checks_rule,
    checks_sft,
    checks_step,
)
from xpo.testing.options import Option, options

Check = Callable[[Any], None]

_CHECKS: dict[str, tuple[Check, ...]] = {
    "divergence": checks_divergence.CHECKS,
    "length": checks_length.CHECKS,
    "objective": (
        *checks_objective.CHECKS,
        *checks_step.CHECKS,
        *checks_declared.CHECKS,
        *checks_critic.CHECKS,
        *checks_lists.CHECKS,
    ),
    "reward": (*checks_reward.REWARD, *checks_head.REWARD),
    "reward_form": (*checks_reward.REWARD_FORM, *checks_head.REWARD_FORM),
    "reward_level": checks_reward.REWARD_LEVEL,
    "polarity": checks_reward.POLARITY,
    "margin": checks_reward.MARGIN,
    "anchor": checks_anchor.CHECKS,
    "annotator": checks_annotator.CHECKS,
    "reduce": checks_sft.REDUCE,
    "sft": checks_sft.SFT,
    "feedback": checks_feedback.CHECKS,
    "critic": checks_critic_option.CHECKS,
    "rule": checks_rule.CHECKS,
    "constraint": checks_constraint.CHECKS,
    "advantage": checks_advantage.CHECKS,
    "policy_loss": checks_policy_loss.CHECKS,
    "penalty": checks_penalty.CHECKS,
    "query": checks_query.CHECKS,
}


def checks_for(group: str, declared: Any = None) -> tuple[Check, ...]:
    """All checks that an option of this group must pass; groups without their own have the common ones.

    ``declared``: the component or its class. An objective that declares that it is no loss of rows has checks
    of its own, the first of which is that it has none.
    """
    if group == "objective" and declared is not None and declared.policy_gradient:
        return (*checks_common.CHECKS, *checks_gradient.CHECKS)
    return (*checks_common.CHECKS, *_CHECKS.get(group, ()))


def cases(*groups: str) -> list[Any]:
    """(option, check) for every option of these groups, as pytest parameters with readable ids."""
    import pytest

    return [
        pytest.param(option, check, id=f"{option}-{check.__name__}")
        for group in groups
        for option in options(group)
        for check in checks_for(group, option.component)
    ]


def failures(component: Any, group: str, checks: Iterable[Check] | None = None) -> list[str]:
    """The checks that a component fails, each with what it says; all of the group's unless given."""
    failed = []
    for check in checks_for(group, component) if checks is None else checks:
        try:
            check(component)
        except Exception as error:  # a check reports by raising, and a broken component may raise anything
            failed.append(f"{check.__name__}: {error}")
    return failed


__all__ = ["Check", "Option", "cases", "checks_for", "failures", "options"]
