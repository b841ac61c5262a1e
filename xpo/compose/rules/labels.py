"""Rules about how sure labels are, and what a scorer makes of them."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.compose.rules.society import labeller, labels


def _labels_are_soft(c: Composition) -> Reason | None:
    softened = c.feedback.soft_masses or (c.label_noise.applies and not c.label_noise.unbounded)
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
    if c.reward.relabels or c.reward.trains_head or not c.reward_form.averages:
        return None
    return Reason(
        f"{c.choice('reward')} takes labels as they are, and {c.choice('reward_form')} says what a scorer's "
        "labels are made of: it would change nothing.",
        ("reward_form", "reward"),
    )


def _softness_is_read(c: Composition) -> Reason | None:
    """Probabilities, and ties that are halved, are masses of comparisons and of their two sides."""
    if not c.feedback.soft_masses and not c.feedback.splits_ties:
        return None
    key, off = ("soft=true", "soft=false") if c.feedback.soft_masses else ("ties=half", "ties=drop")
    readers = ("objective", "sft", "margin", "anchor", "weighting")
    read = frozenset().union(*(c.components()[group].needs for group in readers))
    why = None
    if not read & {"comparisons", "labels"}:
        why = f"{c.choice('objective')} reads {', '.join(sorted(read)) or 'no labels'}"
    elif c.objective.hard_labels:
        why = f"{c.choice('objective')} reads which of two responses is preferred, not how surely"
    elif c.reward.relabels and c.feedback.soft_masses:
        why = f"{c.choice('reward')} takes the labels of a pair from a scorer"
    if why is None:
        return None
    text = f"feedback.{key} would change nothing: {why}."
    return Reason(text, ("feedback", "objective"), (f"feedback.{off}",))


def _own_labels_are_read(c: Composition) -> Reason | None:
    """Comparisons and labels of single responses, side by side."""
    if "comparisons" not in c.feedback.gives or c.feedback.labels_from_pairs:
        return None
    readers = ("objective", "sft", "margin", "anchor", "weighting")
    read = frozenset().union(*(c.components()[group].needs for group in readers))
    if "labels" in read or "labels" not in c.feedback.gives:
        return None
    return Reason(
        f"feedback.labels=data would change nothing: {c.choice('objective')} reads "
        f"{', '.join(sorted(read)) or 'no labels'}.",
        ("feedback", "objective"),
        ("feedback.labels=sides",),
    )


def _cuts_are_read(c: Composition) -> Reason | None:
    """Who is good by an annotator's threshold, on its own."""
    if not c.annotator.cuts_scores:
        return None
    if "labels" in c.feedback.gives and not c.feedback.labels_from_pairs:
        return None
    return Reason(
        f"annotator.threshold of {c.choice('annotator')} says which responses are good, and "
        f"{c.choice('feedback')} reads no such labels.",
        ("feedback", "annotator"),
        ("annotator.threshold=null",),
    )


def _wins_are_given(c: Composition) -> Reason | None:
    if not c.feedback.soft_masses or "wins" in labels(c):
        return None
    return Reason(
        f"feedback.soft=true reads win probabilities, and {c.choice(labeller(c))} gives "
        f"{', '.join(sorted(labels(c)))}.",
        (labeller(c), "feedback"),
        ("feedback.soft=false",),
    )


RULES: tuple[Rule, ...] = (
    _softness_is_read,
    _own_labels_are_read,
    _cuts_are_read,
    _wins_are_given,
    _labels_are_soft,
    _noise_can_be_undone,
    _win_rates_are_a_scorers,
)
