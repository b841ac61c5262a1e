"""Rules about who stands beside the policy's samples: another player, or the data."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _contrasts_have_two_sides(c: Composition) -> Reason | None:
    if not c.sampling.samples or not c.feedback.contrasts or c.sampling.given != "none":
        return None
    return Reason(
        f"{c.choice('feedback')} sets the data's responses against samples, and sampling.given=none leaves "
        "them out.",
        ("feedback", "sampling"),
        fix=("sampling.given=best",),
    )


def _all_samples_stand_on_one_side(c: Composition) -> Reason | None:
    """Where nobody judges samples, none of them is the best."""
    if not c.sampling.samples or not c.feedback.contrasts or not c.sampling.reads_values:
        return None
    return Reason(
        f"{c.choice('sampling')} keeps samples by what they are worth, and {c.choice('feedback')} asks "
        "nobody what that is.",
        ("sampling", "feedback"),
        fix=("sampling=on_policy", f"sampling.given={c.sampling.given}"),
    )


def _nobody_else_contrasts(c: Composition) -> Reason | None:
    if not c.sampling.samples or not c.feedback.contrasts or c.annotator.of_data:
        return None
    return Reason(
        f"{c.choice('annotator')} would not be asked: {c.choice('feedback')} sets the data's responses, as "
        "the data rank them, against samples.",
        ("annotator", "feedback"),
    )


def _others_are_read(c: Composition) -> Reason | None:
    """Responses of another player and of the data, which a policy gradient does not train on."""
    if not c.sampling.samples or not c.objective.policy_gradient:
        return None
    if c.sampling.given != "none":
        return Reason(
            f"{c.choice('objective')} is the score function of samples, and sampling.given="
            f"{c.sampling.given} sets a response of the data beside them.",
            ("sampling", "objective"),
            fix=("sampling.given=none",),
        )
    if not c.sampling.rivals:
        return None
    if c.reward_form.reads != "wins":
        return Reason(
            f"{c.choice('sampling')} draws what the policy's samples are to win against, and "
            f"{c.choice('reward_form')} judges each alone.",
            ("reward_form", "sampling"),
        )
    if c.feedback.on_policy in ("", "scores"):
        return None
    return Reason(
        f"{c.choice('feedback')} makes {c.feedback.on_policy} of one number for each response, and samples "
        f"of {c.choice('sampling')} are worth their probability of beating the others as it is.",
        ("feedback", "sampling"),
    )


def _an_average_follows(c: Composition) -> Reason | None:
    if c.sampling.average is None or c.schedule.online:
        return None
    return Reason(
        f"sampling.average={c.sampling.average:g} follows the policy step by step, and "
        f"{c.choice('schedule')} draws before it trains.",
        ("schedule", "sampling"),
        fix=("sampling.average=null",),
    )


def _rivals_are_pushed_down(c: Composition) -> Reason | None:
    if not c.anchor.needs_rivals or c.sampling.rivals:
        return None
    return Reason(
        f"{c.choice('anchor')} is about samples of another player, and {c.choice('sampling')} draws none.",
        ("anchor", "sampling"),
        fix=("anchor=none",),
    )


FIRST: tuple[Rule, ...] = (_contrasts_have_two_sides, _all_samples_stand_on_one_side)
"""Of every composition, before what is asked of samples."""

RULES: tuple[Rule, ...] = (
    _nobody_else_contrasts,
    _others_are_read,
    _an_average_follows,
    _rivals_are_pushed_down,
)
"""Of every composition."""
