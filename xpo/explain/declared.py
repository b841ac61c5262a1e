"""What options declare about when they train the same, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpo.compose.composition import Composition
from xpo.compose.rules.samples import together


def declared_equal(base: Composition, other: Composition, axis: str) -> str:
    """The declaration by which two options of an axis train the same; empty where there is none."""
    one, two = getattr(base, axis), getattr(other, axis)
    return next((why for said, holds, why in DECLARED if said == axis and holds(one, two, other)), "")


def _kept_by_order(one: Any, two: Any, c: Composition) -> bool:
    return one.reads and two.reads and c.sampling.by_order


def _mean_win_rates(one: Any, two: Any, c: Composition) -> bool:
    return one.reads == two.reads == "wins" and c.objective.policy_gradient


def _only_compared(one: Any, two: Any, c: Composition) -> bool:
    return c.annotator.compares and (one.averages or two.averages)


def _two_are_kept(one: Any, two: Any, c: Composition) -> bool:
    return c.sampling.samples and together(c, c.sampling.kept) == 2


def _without_reference(one: Any, two: Any, c: Composition) -> bool:
    return not c.reference.given and not c.length.averages


def _symbols(one: Any, two: Any, c: Composition) -> bool:
    return not one.ends and not two.ends and "gold rewards" in c.data.provides


def _only_tokens_differ(one: Any, two: Any, c: Composition) -> bool:
    return c.divergence.linear and one.per_token != two.per_token


DECLARED: tuple[tuple[str, Callable[[Any, Any, Composition], bool], str], ...] = (
    (
        "divergence",
        lambda one, two, c: one.linear and two.linear,
        "both links are the log-ratio itself (`linear`): only what is measured differs",
    ),
    (
        "divergence",
        _without_reference,
        "without a reference it bends log-likelihoods of whole responses, where this link is straight",
    ),
    (
        "reward_form",
        _kept_by_order,
        "samples are kept by their order alone, which win rates and scores have in common (`by_order`)",
    ),
    (
        "reward_form",
        _mean_win_rates,
        "a policy gradient has one number for each sample, its mean win rate, under either",
    ),
    (
        "reward_form",
        _only_compared,
        "who only compares gives a response no score but its mean win rate (`compares`)",
    ),
    ("arity", _two_are_kept, "two responses of a prompt are a list and a pair"),
    (
        "reward",
        lambda one, two, c: c.objective.hard_labels,
        "an order is all that is read, and the scores' order is that of the labels (`hard_labels`)",
    ),
    (
        "reward_level",
        lambda one, two, c: one.of_parts and two.of_parts and c.objective.policy_gradient,
        "where parts of samples end is said by whoever judges them (`of_parts`)",
    ),
    (
        "reward_level",
        _symbols,
        "a part of the gold world's responses is one symbol, whatever parts are (`ends`)",
    ),
    (
        "reward_level",
        _only_tokens_differ,
        "the link is linear, so only what is left differs: tokens' rewards, or none (`per_token`)",
    ),
)
"""Axis, when it holds of two options and a composition with the second, and what it says."""
