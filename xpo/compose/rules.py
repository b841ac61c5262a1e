"""The rules of compatibility. Each says what the parts declare and why they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xpo.compose.composition import Composition


@dataclass(frozen=True)
class Reason:
    """Why a combination means nothing, and the groups of which one has to change."""

    text: str
    groups: tuple[str, ...]
    fix: tuple[str, ...] = ()  # the nearest combination, where it is no change of options


Rule = Callable[[Composition], Reason | None]


def _feedback_is_there(c: Composition) -> Reason | None:
    given = c.feedback.gives & c.arity.keeps
    lacking = sorted((c.objective.needs | c.sft.needs) - given)
    if not lacking:
        return None
    return Reason(
        f"objective={c.option('objective')} needs {' and '.join(lacking)}, but feedback={c.option('feedback')} with "
        f"arity={c.option('arity')} gives rows with {', '.join(sorted(given)) or 'no labels'}.",
        ("feedback", "arity", "objective"),
    )


def _rows_have_a_fitting_size(c: Composition) -> Reason | None:
    low, high = c.arity.sizes
    if c.length.several and high == 1:
        return Reason(
            f"length={c.option('length')} compares the lengths of several responses to one prompt, but "
            f"arity={c.option('arity')} gives one response a row: nothing would change.",
            ("length", "arity"),
        )
    if "comparisons" in c.objective.needs and high == 1:
        return Reason(
            f"objective={c.option('objective')} compares responses to one prompt, but arity={c.option('arity')} gives "
            "one response a row.",
            ("arity", "objective"),
        )
    return None


def _feedback_fills_the_row(c: Composition) -> Reason | None:
    if c.arity.needs_any & c.feedback.gives:
        return None
    return Reason(
        f"arity={c.option('arity')} puts together responses that {' or '.join(sorted(c.arity.needs_any))} speak about, "
        f"and feedback={c.option('feedback')} gives {', '.join(sorted(c.feedback.gives))} only: no row would be left.",
        ("arity", "feedback"),
    )


def _annotator_can_label(c: Composition) -> Reason | None:
    lacking = sorted(c.annotator.needs - c.data.provides)
    if not lacking:
        return None
    return Reason(
        f"annotator={c.option('annotator')} needs {' and '.join(lacking)}, but data={c.option('data')} provides "
        f"{', '.join(sorted(c.data.provides)) or 'none of it'}.",
        ("annotator", "data"),
    )


def _reward_is_read(c: Composition) -> Reason | None:
    if c.objective.reads_reward == c.reward.reads_reward:
        return None
    if c.reward.reads_reward:
        return Reason(
            f"objective={c.option('objective')} is a likelihood and eats no reward, so reward={c.option('reward')} "
            "would have no effect.",
            ("reward", "objective"),
        )
    return Reason(
        f"objective={c.option('objective')} eats a reward, and reward={c.option('reward')} gives none.",
        ("reward", "objective"),
    )


def _no_idle_axis(c: Composition) -> Reason | None:
    """Without a reward the axes that make one would be read by nobody."""
    if c.objective.reads_reward:
        return None
    idle = {
        "reference": c.reference.given,
        "divergence": c.divergence.regularises,
        "length": c.length.has_offset or c.length.averages or c.length.several,
        "polarity": c.polarity.negative_only,
        "reward_level": c.reward_level.gives_reward,
        "reward_form": bool(c.reward_form.reads),
    }
    for group, set_for_nothing in idle.items():
        if set_for_nothing:
            return Reason(
                f"objective={c.option('objective')} eats no reward, so {group}={c.option(group)}, which only shapes a "
                "reward, would have no effect.",
                (group, "objective"),
            )
    return None


def _level_and_form_are_set(c: Composition) -> Reason | None:
    if not c.objective.reads_reward:
        return None
    if not c.reward_level.gives_reward:
        return Reason(
            f"objective={c.option('objective')} eats a reward, and reward_level={c.option('reward_level')} makes every "
            "reward 0.",
            ("reward_level",),
        )
    if not c.reward_form.reads:
        return Reason(
            f"objective={c.option('objective')} eats a reward, which has a form (pointwise or pairwise): "
            f"reward_form={c.option('reward_form')} is for objectives that eat none.",
            ("reward_form",),
        )
    return None


def _form_fits_the_reward(c: Composition) -> Reason | None:
    if c.reward.relabels or not c.objective.reads_reward or c.reward_form.reads == c.objective.implicit_form:
        return None
    return Reason(
        f"reward={c.option('reward')} takes labels as they are, and objective={c.option('objective')} reads them as "
        f"{_form_words(c.objective.implicit_form)}; reward_form={c.option('reward_form')} would change nothing. It says "
        "what an explicit reward's labels are made of.",
        ("reward_form", "reward"),
    )


def _form_is_read(c: Composition) -> Reason | None:
    """An objective that takes no comparisons reads the explicit reward's scores as they are."""
    if not c.reward.relabels or "comparisons" in c.objective.needs or c.reward_form.reads in c.objective.needs:
        return None
    return Reason(
        f"objective={c.option('objective')} reads {' and '.join(sorted(c.objective.needs))}, and "
        f"reward_form={c.option('reward_form')} would give it {c.reward_form.reads}, which it does not read.",
        ("reward_form", "objective"),
    )


def _form_words(reads: str) -> str:
    return {"scores": "Bradley-Terry labels of a pointwise reward", "wins": "win rates of a pairwise preference"}[reads]


def _relabelling_reaches_the_objective(c: Composition) -> Reason | None:
    if c.objective.explicit_reward and not c.reward.relabels:
        return Reason(
            f"objective={c.option('objective')} reads the scores of an explicit reward, and reward={c.option('reward')} "
            "is the policy's own.",
            ("reward", "objective"),
        )
    if not c.reward.relabels or c.objective.explicit_reward or "comparisons" in c.objective.needs:
        return None
    return Reason(
        f"reward={c.option('reward')} relabels comparisons (or scales scores), and objective={c.option('objective')} "
        f"reads {', '.join(sorted(c.objective.needs))}: nothing would change.",
        ("reward", "feedback"),
    )


def _divergence_is_invertible(c: Composition) -> Reason | None:
    if c.divergence.invertible:
        return None
    return Reason(
        f"divergence={c.option('divergence')} cannot be used off-policy: {c.divergence.why_not_off_policy}. The implicit "
        "reward beta f'(pi/ref) exists only where f' is invertible and 0 is outside its domain.",
        ("divergence",),
    )


def _normaliser_cancels(c: Composition) -> Reason | None:
    if c.divergence.linear or c.objective.difference or not c.objective.reads_reward:
        return None
    return Reason(
        f"With divergence={c.option('divergence')} the implicit reward is beta f'(u) plus a constant of the prompt that "
        f"is known only to cancel in reward differences, and objective={c.option('objective')} declares that it does not "
        "depend on differences alone.",
        ("divergence", "objective"),
    )


def _token_level_changes_something(c: Composition) -> Reason | None:
    if not c.reward_level.per_token or not c.divergence.linear:
        return None
    return Reason(
        f"reward_level={c.option('reward_level')} applies the divergence's link to each token before pooling; the link of "
        f"divergence={c.option('divergence')} is linear, so the loss would be the same number.",
        ("reward_level", "divergence"),
    )


def _beta_is_free(c: Composition) -> Reason | None:
    fixed = c.objective.fixed_beta
    if fixed is None or c.reward.beta == fixed:
        return None
    return Reason(
        f"objective={c.option('objective')} fixes the scale of the reward: reward.beta must be {fixed}, got "
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
                f"objective={c.option('objective')} takes the reward for a log-probability (at most 0), which "
                f"{group}={c.option(group)} does not keep.",
                (group, "objective"),
            )
    return None


def _margin_is_read(c: Composition) -> Reason | None:
    if not c.margin.applies or c.objective.reads_margin:
        return None
    return Reason(
        f"objective={c.option('objective')} reads no margin, so margin={c.option('margin')} would have no effect.",
        ("margin", "objective"),
    )


def _polarity_has_two_sides(c: Composition) -> Reason | None:
    if not c.polarity.negative_only or not c.objective.reads_reward:
        return None
    if not c.objective.reads_roles:
        return Reason(
            f"polarity={c.option('polarity')} takes the preferred side out of comparisons, and "
            f"objective={c.option('objective')} builds none through it.",
            ("polarity", "objective"),
        )
    if not c.divergence.linear:
        return Reason(
            f"polarity={c.option('polarity')} compares a reward with 0, so the constant of the prompt that "
            f"divergence={c.option('divergence')} leaves in it does not cancel.",
            ("polarity", "divergence"),
        )
    return None


def _reduction_fits(c: Composition) -> Reason | None:
    if not c.reduce.per_token or c.objective.per_token:
        return None
    return Reason(
        f"reduce={c.option('reduce')} divides by tokens, and objective={c.option('objective')} is no sum over tokens: "
        "the loss would only be rescaled by the mean length.",
        ("reduce", "objective"),
    )


def _adapter_is_there(c: Composition) -> Reason | None:
    if not c.reference.needs_adapter or c.adapter.adapts:
        return None
    return Reason(
        f"reference={c.option('reference')} is the model with its adapter switched off, and adapter="
        f"{c.option('adapter')} has none to switch off.",
        ("adapter", "reference"),
    )


def _one_likelihood(c: Composition) -> Reason | None:
    if c.objective.reads_reward or not (c.sft.stage or c.sft.weight):
        return None
    return Reason(
        f"objective={c.option('objective')} is the likelihood already, so sft={c.option('sft')} would train it twice.",
        ("sft", "objective"),
    )


RULES: tuple[Rule, ...] = (
    _annotator_can_label,
    _reward_is_read,
    _no_idle_axis,
    _one_likelihood,
    _feedback_is_there,
    _feedback_fills_the_row,
    _rows_have_a_fitting_size,
    _level_and_form_are_set,
    _form_fits_the_reward,
    _relabelling_reaches_the_objective,
    _form_is_read,
    _divergence_is_invertible,
    _normaliser_cancels,
    _token_level_changes_something,
    _beta_is_free,
    _reward_is_a_log_likelihood,
    _margin_is_read,
    _polarity_has_two_sides,
    _reduction_fits,
    _adapter_is_there,
)
