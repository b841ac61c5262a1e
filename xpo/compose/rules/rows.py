"""Rules about rows: who labels, what the feedback gives, how many responses a row holds."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.compose.rules.society import by_observer, labeller, labels


def _annotator_can_label(c: Composition) -> Reason | None:
    lacking = sorted(c.annotator.needs - c.data.provides)
    if not lacking:
        return None
    return Reason(
        f"{c.choice('annotator')} needs {' and '.join(lacking)}, but {c.choice('data')} provides "
        f"{', '.join(sorted(c.data.provides)) or 'none of it'}.",
        ("annotator", "data"),
    )


def _feedback_is_there(c: Composition) -> Reason | None:
    given = c.feedback.gives & c.arity.keeps & (labels(c) | {"demonstrations"})
    who = labeller(c)
    for group in ("objective", "sft", "margin", "anchor", "weighting"):
        lacking = sorted(c.components()[group].needs - given)
        if lacking:
            return Reason(
                f"{c.choice(group)} needs {' and '.join(lacking)}, but {c.choice('feedback')} with "
                f"{c.choice('arity')} and {c.choice(who)} gives rows with "
                f"{', '.join(sorted(given)) or 'no labels'}.",
                ("feedback", "arity", who, group),
                fix=by_observer(c),
            )
    if c.reward.relabels and "comparisons" in c.objective.needs and c.reward_form.reads not in given:
        return Reason(
            f"{c.choice('reward_form')} takes labels from {c.reward_form.reads}, but {c.choice('feedback')} "
            f"with {c.choice('arity')} and {c.choice(who)} gives rows with "
            f"{', '.join(sorted(given)) or 'no labels'}.",
            ("feedback", "arity", who, "reward_form", "reward"),
            fix=by_observer(c),
        )
    return None


def _feedback_fills_the_row(c: Composition) -> Reason | None:
    if c.arity.needs_any & c.feedback.gives:
        return None
    return Reason(
        f"{c.choice('arity')} puts together responses that "
        f"{' or '.join(sorted(c.arity.needs_any))} speak about, and {c.choice('feedback')} gives "
        f"{', '.join(sorted(c.feedback.gives))} only: no row would be left.",
        ("arity", "feedback"),
    )


def _rows_have_a_fitting_size(c: Composition) -> Reason | None:
    low, high = c.arity.sizes
    if c.length.several and high == 1:
        return Reason(
            f"{c.choice('length')} compares the lengths of several responses to one prompt, but "
            f"{c.choice('arity')} gives one response a row: nothing would change.",
            ("length", "arity"),
        )
    if "comparisons" in c.objective.needs and high == 1:
        return Reason(
            f"{c.choice('objective')} compares responses to one prompt, but {c.choice('arity')} gives "
            "one response a row.",
            ("arity", "objective"),
        )
    return None


def _rounds_have_steps(c: Composition) -> Reason | None:
    if c.trainer.steps is None or c.trainer.steps >= c.schedule.rounds:
        return None
    return Reason(
        f"{c.choice('schedule')} shares trainer.steps={c.trainer.steps} between {c.schedule.rounds} rounds, "
        "and each needs one.",
        ("schedule",),
        fix=(f"trainer.steps={c.schedule.rounds}",),
    )


def _data_are_read(c: Composition) -> Reason | None:
    objection = c.data.refusal(c)
    if objection is None:
        return None
    text, fix = objection
    return Reason(text, ("feedback", "arity"), fix)


OF_ROWS: tuple[Rule, ...] = (_feedback_is_there, _feedback_fills_the_row, _rows_have_a_fitting_size)
"""Of what rows must carry."""

RULES: tuple[Rule, ...] = (_annotator_can_label, _data_are_read, _rounds_have_steps)
