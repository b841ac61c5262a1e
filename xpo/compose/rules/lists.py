"""Rules about objectives of whole lists, and of orders: what they do not read must not be set."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _lists_have_several_responses(c: Composition) -> Reason | None:
    if not c.objective.listwise or c.arity.sizes[1] != 1:
        return None
    return Reason(
        f"{c.choice('objective')} weighs the responses to a prompt against each other, but "
        f"{c.choice('arity')} gives one response a row.",
        ("arity", "objective"),
    )


def _order_has_no_noise(c: Composition) -> Reason | None:
    if not c.label_noise.applies or not c.objective.hard_labels:
        return None
    return Reason(
        f"{c.choice('objective')} reads which of two responses is preferred, and {c.choice('label_noise')} "
        "changes only how surely.",
        ("label_noise", "objective"),
    )


def _order_has_no_scale(c: Composition) -> Reason | None:
    if not c.objective.hard_labels or not c.reward.relabels or c.reward.scale == 1:
        return None
    return Reason(
        f"{c.choice('objective')} reads the order of scores, which reward.scale={c.reward.scale:g} leaves as "
        "it is.",
        ("objective",),
        fix=("reward.scale=1.0",),
    )


def _order_has_no_weights(c: Composition) -> Reason | None:
    if not c.objective.hard_labels or not c.weighting.mass_text():
        return None
    return Reason(
        f"{c.choice('objective')} reads which of two responses is preferred, and {c.choice('weighting')} "
        "changes only how much a comparison counts.",
        ("weighting", "objective"),
    )


RULES: tuple[Rule, ...] = (
    _lists_have_several_responses,
    _order_has_no_noise,
    _order_has_no_scale,
    _order_has_no_weights,
)
