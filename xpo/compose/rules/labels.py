"""Rules about how sure labels are, and what a scorer makes of them."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _labels_are_soft(c: Composition) -> Reason | None:
    softened = c.label_noise.applies and not c.label_noise.unbounded
    if not c.objective.soft_labels or softened or c.reward.relabels or not c.data.certain_labels:
        return None
    return Reason(
        f"{c.choice('objective')} is infinite for a label that is certain, and {c.choice('data')} with "
        f"{c.choice('label_noise')} and {c.choice('reward')} gives no others.",
        ("label_noise", "reward", "objective"),
    )


def _noise_can_be_undone(c: Composition) -> Reason | None:
    if not c.label_noise.unbounded or c.objective.unbiased_in_labels:
        return None
    return Reason(
        f"{c.choice('label_noise')} undoes flips in expectation, with negative masses, and the gradient of "
        f"{c.choice('objective')} is not linear in the masses of labels.",
        ("label_noise", "objective"),
    )


def _win_rates_are_a_scorers(c: Composition) -> Reason | None:
    if c.reward.relabels or not c.reward_form.averages:
        return None
    return Reason(
        f"{c.choice('reward')} takes labels as they are, and {c.choice('reward_form')} says what a scorer's "
        "labels are made of: it would change nothing.",
        ("reward_form", "reward"),
    )


RULES: tuple[Rule, ...] = (_labels_are_soft, _noise_can_be_undone, _win_rates_are_a_scorers)
