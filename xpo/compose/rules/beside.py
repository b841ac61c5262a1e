"""Rules about what stands beside the axes: margins, label noise, weightings, anchors, critics."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _margin_is_read(c: Composition) -> Reason | None:
    if not c.margin.applies or c.objective.reads_margin:
        return None
    return Reason(
        f"{c.choice('objective')} reads no margin, so {c.choice('margin')} would have no effect.",
        ("margin", "objective"),
    )


def _margin_has_two_sides(c: Composition) -> Reason | None:
    if c.margin.difference or not c.polarity.negative_only:
        return None
    return Reason(
        f"{c.choice('polarity')} takes the preferred response out of the objective, and {c.choice('margin')} "
        "reads its reward.",
        ("margin", "polarity"),
    )


def _noise_is_in_labels(c: Composition) -> Reason | None:
    if not c.label_noise.applies or {"comparisons", "labels"} & c.objective.needs:
        return None
    return Reason(
        f"{c.choice('label_noise')} corrects comparisons and labels, and {c.choice('objective')} reads "
        f"{', '.join(sorted(c.objective.needs))}: nothing would change.",
        ("label_noise", "objective"),
    )


def _weighting_has_something_to_weigh(c: Composition) -> Reason | None:
    """Losses of rows are there in any case."""
    masses, labels = c.weighting.mass_text(), {"comparisons", "labels"} & c.objective.needs
    if masses and not labels:
        return Reason(
            f"{c.choice('weighting')} weighs comparisons and labels, and {c.choice('objective')} reads "
            f"{', '.join(sorted(c.objective.needs))}.",
            ("weighting", "objective"),
        )
    if c.weighting.rescales and not c.objective.reads_reward:
        return Reason(
            f"{c.choice('weighting')} rescales rewards, and {c.choice('objective')} eats none.",
            ("weighting", "objective"),
        )
    return None


def _vocabulary_of_the_reference(c: Composition) -> Reason | None:
    for group in ("objective", "weighting", "anchor"):
        part = c.components()[group]
        if not c.reference.given and any(s.needs_reference for s in part.token_statistics):
            return Reason(
                f"{c.choice(group)} compares whole next-token distributions with the reference's, and "
                f"{c.choice('reference')} has none.",
                ("reference", group),
            )
    return None


def _anchor_has_rewards(c: Composition) -> Reason | None:
    if not c.anchor.reads_reward or c.objective.reads_reward:
        return None
    return Reason(
        f"{c.choice('anchor')} holds rewards, and {c.choice('objective')} eats none.",
        ("anchor", "objective"),
    )


def _critic_is_read(c: Composition) -> Reason | None:
    lacking = sorted(c.objective.critic - c.critic.gives)
    if lacking:
        return Reason(
            f"{c.choice('objective')} reads {' and '.join(lacking)} of a critic, and {c.choice('critic')} "
            f"gives {', '.join(sorted(c.critic.gives)) or 'nothing'}.",
            ("critic", "objective"),
        )
    if c.critic.gives and not c.objective.critic:
        return Reason(
            f"{c.choice('objective')} reads no critic, so {c.choice('critic')} would be trained for nobody.",
            ("critic", "objective"),
        )
    return None


RULES: tuple[Rule, ...] = (
    _margin_is_read,
    _margin_has_two_sides,
    _noise_is_in_labels,
    _weighting_has_something_to_weigh,
    _vocabulary_of_the_reference,
    _anchor_has_rewards,
    _critic_is_read,
)
