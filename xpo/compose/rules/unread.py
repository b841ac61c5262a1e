"""Rules about settings that nothing reads where a run samples, and about samples of another law."""

from __future__ import annotations

from dataclasses import fields

from xpo.compose.asked import asked
from xpo.compose.composition import Composition
from xpo.compose.rules.idle import idle
from xpo.compose.rules.reason import Reason, Rule
from xpo.written import written


def _what_is_scored_is_what_was_drawn(c: Composition) -> Reason | None:
    """The score function is of the policy's own law behind the prompt that is trained on."""
    if not c.objective.policy_gradient or not c.sampling.samples or c.objective.truncation is not None:
        return None
    keys = ("top_k", "top_p", "min_new_tokens") if not c.sampling.draw.whole else ()
    keys += ("prompt_template",) if c.sampling.prompt_template is not None else ()
    changed = asked(c, "sampling", *keys)
    if not keys:
        return None
    told = " and ".join(change.partition("=")[0] for change in changed) or f"{c.choice('sampling')}, as set,"
    return Reason(
        f"{told} {'draw' if len(changed) > 1 else 'draws'} from another distribution than the policy has at "
        "the prompt that is trained on, and nothing makes up for it.",
        ("sampling",),
        fix=("objective.truncation=2.0",),
    )


def _rows_of_rounds_are_given(c: Composition) -> Reason | None:
    if not c.sampling.samples or not c.schedule.chunks:
        return None
    return Reason(
        f"{c.choice('schedule')} cuts given rows into rounds (schedule.rows), and "
        f"{c.choice('sampling')} answers all prompts in each.",
        ("schedule", "sampling"),
        fix=("schedule.rows=all",),
    )


def _rounds_that_are_spoken_of_come(c: Composition) -> Reason | None:
    key = c.sampling.by_round
    if not key or not asked(c, "sampling", key) or len(vars(c.sampling)[key] or ()) <= c.schedule.rounds:
        return None
    values = vars(c.sampling)[key]
    return Reason(
        f"sampling.{key}={written(values)} has a value for each of {len(values)} rounds, and "
        f"{c.choice('schedule')} has {c.schedule.rounds}.",
        ("sampling", "schedule"),
        fix=(f"sampling.{key}={written(values[: c.schedule.rounds])}",),
    )


def _the_reward_is_read_as_it_is_set(c: Composition) -> Reason | None:
    """What only a divergence, a policy gradient or a fitted reward reads."""
    if not c.reward.relabels:
        return None
    gradient, fitted = c.objective.policy_gradient, c.objective.reads_reward or c.objective.explicit_reward
    if gradient and c.penalty.applies:
        return None
    keys = ["beta"] if gradient or not fitted else []
    keys += [] if gradient else ["clip"]
    keys += [] if gradient or fitted else ["scale"]
    return idle(c, "reward", keys, f"{c.choice('objective')} with {c.choice('penalty')}")


def _a_rollout_is_scored_once(c: Composition) -> Reason | None:
    if not c.schedule.online or not c.reference.cacheable:
        return None
    return idle(c, "reference", ["cache"], f"{c.choice('schedule')}, which scores a rollout as it is made,")


def _pairs_are_not_made(c: Composition) -> Reason | None:
    if not c.objective.policy_gradient:
        return None
    keys = [field.name for field in fields(c.arity)]
    return idle(c, "arity", keys, f"{c.choice('objective')}, which has a prompt's samples in one row,")


def _good_ones_are_rewarded(c: Composition) -> Reason | None:
    """By a labeller's own threshold."""
    if not c.objective.policy_gradient or not c.annotator.cuts_scores or c.feedback.on_policy == "labels":
        return None
    return Reason(
        f"annotator.{c.annotator.cut} of {c.choice('annotator')} says which samples are good, and "
        f"{c.choice('feedback')} takes {c.feedback.on_policy}.",
        ("feedback", "annotator"),
        (f"annotator.{c.annotator.cut}=null",),
    )


RULES: tuple[Rule, ...] = (
    _what_is_scored_is_what_was_drawn,
    _rows_of_rounds_are_given,
    _rounds_that_are_spoken_of_come,
    _the_reward_is_read_as_it_is_set,
    _a_rollout_is_scored_once,
    _pairs_are_not_made,
    _good_ones_are_rewarded,
)
"""Of every composition."""
