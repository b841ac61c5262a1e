"""Rules about what looks at the whole optimizer step: matched rows, weighed rows, a beta of the step."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _matched_rows_have_no_weight(c: Composition) -> Reason | None:
    if not c.objective.coupled or not c.weighting.applies or c.weighting.ahead:
        return None
    return Reason(
        f"{c.choice('objective')} matches the rows of a step with each other, so that a row has no loss of "
        f"its own that {c.choice('weighting')} could weigh.",
        ("weighting", "objective"),
    )


def _log_ratios_come_apart(c: Composition) -> Reason | None:
    if not c.objective.reads_reference:
        return None
    if not c.reference.given:
        return Reason(
            f"{c.choice('objective')} matches margins of the policy with those of the reference, and "
            f"{c.choice('reference')} has none: it would be the loss of each row's own margin.",
            ("reference", "objective"),
        )
    if not c.divergence.linear:
        return Reason(
            f"{c.choice('objective')} takes policy and reference apart, and the link of "
            f"{c.choice('divergence')} acts on their ratio.",
            ("divergence", "objective"),
        )
    return None


def _beta_may_change(c: Composition) -> Reason | None:
    if not c.weighting.rescales:
        return None
    why = {
        "fixes the scale of the reward": c.objective.fixed_beta is not None,
        "undoes beta": c.objective.reads_beta,
        "compares rewards with a statistic of rewards at the composed beta": (
            c.objective.statistic_rows != "none"
        ),
    }
    for reason, is_so in why.items():
        if is_so:
            return Reason(
                f"{c.choice('weighting')} gives each step a beta of its own, and {c.choice('objective')} "
                f"{reason}.",
                ("weighting", "objective"),
            )
    return None


def _rows_hold_one_response(c: Composition) -> Reason | None:
    if not c.weighting.single or c.arity.sizes == (1, 1):
        return None
    return Reason(
        f"{c.choice('weighting')} weighs rows that are good or bad as a whole, and {c.choice('arity')} puts "
        "several responses into one.",
        ("weighting", "arity"),
    )


def _rows_are_averaged(c: Composition) -> Reason | None:
    if not c.weighting.by_row or not c.reduce.per_token:
        return None
    return Reason(
        f"{c.choice('weighting')} weighs rows, and {c.choice('reduce')} divides by tokens.",
        ("weighting", "reduce"),
    )


RULES: tuple[Rule, ...] = (
    _matched_rows_have_no_weight,
    _log_ratios_come_apart,
    _beta_may_change,
    _rows_hold_one_response,
    _rows_are_averaged,
)
