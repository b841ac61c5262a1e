"""Rules about the shape of the reward: divergence, level, scale, sides, and what averages the loss."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _divergence_is_invertible(c: Composition) -> Reason | None:
    if c.divergence.invertible:
        return None
    return Reason(
        f"{c.choice('divergence')} cannot be used off-policy: {c.divergence.why_not_off_policy}. "
        "The implicit reward beta f'(pi/ref) exists only where f' is invertible and 0 is outside its domain.",
        ("divergence",),
    )


def _normaliser_cancels(c: Composition) -> Reason | None:
    if c.divergence.linear or not c.objective.reads_reward:
        return None
    cancels = c.objective.difference or c.objective.absorbs_constant
    at_fault = {"objective": cancels, "margin": c.margin.difference, "anchor": c.anchor.difference}
    group = next((group for group, difference in at_fault.items() if not difference), None)
    if group is None:
        return None
    return Reason(
        f"With {c.choice('divergence')} the implicit reward is beta f'(u) plus a constant of the prompt that "
        f"is known only to cancel in reward differences, and {c.choice(group)} declares that it "
        "does not depend on differences alone.",
        ("divergence", group),
    )


def _beta_is_free(c: Composition) -> Reason | None:
    fixed = c.objective.fixed_beta
    if fixed is None or c.reward.beta == fixed:
        return None
    return Reason(
        f"{c.choice('objective')} fixes the scale of the reward: reward.beta must be {fixed}, got "
        f"{c.reward.beta}. Its own fields set its strength.",
        ("objective",),
        fix=(f"reward.beta={fixed}",),
    )


def _reward_is_a_log_likelihood(c: Composition) -> Reason | None:
    if not c.objective.nonpositive_reward:
        return None
    at_fault = {"reference": c.reference.given, "length": c.length.has_offset}
    for group, bad in at_fault.items():
        if bad:
            return Reason(
                f"{c.choice('objective')} takes the reward for a log-probability (at most 0), which "
                f"{c.choice(group)} does not keep.",
                (group, "objective"),
            )
    return None


def _polarity_has_two_sides(c: Composition) -> Reason | None:
    if not c.polarity.negative_only or not c.objective.reads_reward:
        return None
    if not c.objective.reads_roles:
        return Reason(
            f"{c.choice('polarity')} takes the preferred side out of comparisons, and "
            f"{c.choice('objective')} builds none through it.",
            ("polarity", "objective"),
        )
    if not c.divergence.linear:
        return Reason(
            f"{c.choice('polarity')} compares a reward with 0, so the constant of the prompt that "
            f"{c.choice('divergence')} leaves in it does not cancel.",
            ("polarity", "divergence"),
        )
    return None


def _reduction_fits(c: Composition) -> Reason | None:
    if c.reduce.needs_tokens:
        return Reason(
            f"{c.choice('reduce')} weighs the tokens of a loss that is kept token by token, as a policy "
            f"gradient's is; {c.choice('objective')} gives one number for a row.",
            ("reduce", "objective"),
        )
    if not c.reduce.per_token or c.objective.per_token:
        return None
    return Reason(
        f"{c.choice('reduce')} divides by tokens, and {c.choice('objective')} is no sum over tokens: "
        "the loss would only be rescaled by the mean length.",
        ("reduce", "objective"),
    )


def _reference_is_renewed(c: Composition) -> Reason | None:
    """By steps, or by rounds of which there are several."""
    if not c.reference.renewed or c.reference.every is not None or c.schedule.rounds > 1:
        return None
    return Reason(
        f"{c.choice('reference')} is the policy as it was a round ago, and {c.choice('schedule')} has one "
        "round.",
        ("schedule", "reference"),
        fix=("schedule=iterative",),
    )


def _a_merge_is_a_whole_model(c: Composition) -> Reason | None:
    if not c.sft.parallel or not c.adapter.adapts or c.adapter.merge:
        return None
    return Reason(
        f"{c.choice('sft')} merges the weights that two adapters make, which is no adapter of their rank: "
        "adapter.merge=false has nothing to export.",
        ("sft", "adapter"),
        fix=("adapter.merge=true",),
    )


def _adapter_is_there(c: Composition) -> Reason | None:
    if not c.reference.needs_adapter or c.adapter.adapts:
        return None
    return Reason(
        f"{c.choice('reference')} is the model with its adapter switched off, and adapter="
        f"{c.option('adapter')} has none to switch off.",
        ("adapter", "reference"),
    )


OF_ROWS: tuple[Rule, ...] = (
    _divergence_is_invertible,
    _normaliser_cancels,
    _beta_is_free,
    _reward_is_a_log_likelihood,
    _polarity_has_two_sides,
    _reduction_fits,
)
"""Of an implicit reward."""

RULES: tuple[Rule, ...] = (_adapter_is_there, _a_merge_is_a_whole_model, _reference_is_renewed)
