"""Rules about the reward: who reads it, what form it has, where an explicit one comes in."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _reward_is_read(c: Composition) -> Reason | None:
    chooses = c.reward.relabels and c.sampling.reads_values  # which samples stay is what it is read for
    if c.objective.reads_reward == c.reward.reads_reward or chooses:
        return None
    if c.reward.relabels and c.objective.explicit_reward:
        return None
    if c.reward.reads_reward:
        return Reason(
            f"{c.choice('objective')} with {c.choice('sampling')} eats no reward, so {c.choice('reward')} "
            "would have no effect.",
            ("reward", "objective", "sampling"),
        )
    return Reason(
        f"{c.choice('objective')} eats a reward, and {c.choice('reward')} gives none.",
        ("reward", "objective"),
    )


def _choice_is_by_a_reward(c: Composition) -> Reason | None:
    """Where nothing else reads a reward, it is what samples are chosen by."""
    if not c.sampling.reads_values or c.objective.reads_reward:
        return None
    lacking = {
        "reward": not c.reward.relabels,
        "reward_form": not c.reward_form.reads,
        "reward_level": not c.reward_level.gives_reward or c.reward_level.per_token,
    }
    for group, so in lacking.items():
        if so:
            return Reason(
                f"{c.choice('sampling')} chooses by what a scorer says of whole responses, and "
                f"{c.choice(group)} is none of that.",
                (group, "sampling"),
            )
    return None


def _no_idle_axis(c: Composition) -> Reason | None:
    """Without a reward the axes that make one would be read by nobody."""
    if c.objective.reads_reward:
        return None
    if c.sampling.reads_values:
        own_form = own_level = True
    else:
        own_level = c.objective.credits_tokens and c.reward_level.per_token
        own_form = c.objective.explicit_reward and c.reward_form.reads in c.objective.needs
    idle = {
        "reference": c.reference.given and not c.anchor.needs_reference,
        "divergence": c.divergence.regularises,
        "length": c.length.has_offset or c.length.averages or c.length.several,
        "polarity": c.polarity.negative_only,
        "reward_level": c.reward_level.gives_reward and not own_level,
        "reward_form": bool(c.reward_form.reads) and not own_form,
    }
    for group, set_for_nothing in idle.items():
        if set_for_nothing:
            return Reason(
                f"{c.choice('objective')} eats no reward, so {c.choice(group)}, which only shapes a "
                "reward, would have no effect.",
                (group, "objective"),
            )
    return None


def _credit_is_per_token(c: Composition) -> Reason | None:
    if not c.objective.credits_tokens or c.reward_level.per_token:
        return None
    return Reason(
        f"{c.choice('objective')} carries the reward of a response to its tokens, which is no "
        f"{c.choice('reward_level')}.",
        ("reward_level", "objective"),
    )


def _one_likelihood(c: Composition) -> Reason | None:
    """A stage before is another matter where more than demonstrations is read after it."""
    only = c.objective.needs <= {"demonstrations"} and not c.sampling.samples
    if not c.objective.imitates or not (c.sft.weight or (c.sft.stage and only)):
        return None
    return Reason(
        f"{c.choice('objective')} trains the likelihood already, so {c.choice('sft')} would train it twice.",
        ("sft", "objective"),
    )


def _level_and_form_are_set(c: Composition) -> Reason | None:
    if not c.objective.reads_reward:
        return None
    if not c.reward_level.gives_reward:
        return Reason(
            f"{c.choice('objective')} eats a reward, and {c.choice('reward_level')} makes every reward 0.",
            ("reward_level",),
        )
    if not c.reward_form.reads:
        return Reason(
            f"{c.choice('objective')} eats a reward, which has a form (pointwise or pairwise): "
            f"{c.choice('reward_form')} is for objectives that eat none.",
            ("reward_form",),
        )
    return None


def _form_fits_the_reward(c: Composition) -> Reason | None:
    settled = c.reward.relabels or c.reward.trains_head or not c.objective.reads_reward
    if settled or c.reward_form.reads == c.objective.implicit_form:
        return None
    return Reason(
        f"{c.choice('reward')} takes labels as they are, and {c.choice('objective')} reads them as "
        f"{_form_words(c.objective.implicit_form)}; {c.choice('reward_form')} would change nothing. It says "
        "what an explicit reward's labels are made of.",
        ("reward_form", "reward"),
    )


def _relabelling_reaches_the_objective(c: Composition) -> Reason | None:
    if c.objective.explicit_reward and not c.reward.gives_scores:
        return Reason(
            f"{c.choice('objective')} reads the scores of an explicit reward, and {c.choice('reward')} "
            "is the policy's own.",
            ("reward", "objective"),
        )
    if not c.reward.relabels or c.objective.explicit_reward or "comparisons" in c.objective.needs:
        return None
    if c.sampling.reads_values:
        return None
    return Reason(
        f"{c.choice('reward')} relabels comparisons (or scales scores), and {c.choice('objective')} "
        f"reads {', '.join(sorted(c.objective.needs))}: nothing would change.",
        ("reward", "feedback"),
    )


def _form_is_read(c: Composition) -> Reason | None:
    """An objective that takes no comparisons reads the explicit reward's scores as they are."""
    if (
        not c.reward.relabels
        or c.sampling.reads_values
        or "comparisons" in c.objective.needs
        or c.reward_form.reads in c.objective.needs
    ):
        return None
    return Reason(
        f"{c.choice('objective')} reads {' and '.join(sorted(c.objective.needs))}, and "
        f"{c.choice('reward_form')} would give it {c.reward_form.reads}, which it does not read.",
        ("reward_form", "objective"),
    )


def _form_words(reads: str) -> str:
    return {
        "scores": "Bradley-Terry labels of a pointwise reward",
        "wins": "win rates of a pairwise preference",
    }[reads]


RULES: tuple[Rule, ...] = (
    _reward_is_read,
    _choice_is_by_a_reward,
    _no_idle_axis,
    _credit_is_per_token,
    _one_likelihood,
    _level_and_form_are_set,
    _form_fits_the_reward,
    _relabelling_reaches_the_objective,
    _form_is_read,
)
