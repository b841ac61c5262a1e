"""Rules about heads that are trained as rewards: no token is predicted, so nothing may read its odds."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _form_has_a_head(c: Composition) -> Reason | None:
    if not c.reward.trains_head or c.reward_form.has_head:
        return None
    return Reason(
        f"{c.choice('reward')} trains a score of one response or the log-odds of two, and "
        f"{c.choice('reward_form')} is made of either.",
        ("reward_form", "reward"),
    )


def _nothing_reads_tokens(c: Composition) -> Reason | None:
    """Reference, divergence and likelihoods are about probabilities of tokens."""
    if not c.reward.trains_head:
        return None
    objective = c.objective
    reads = {
        "reference": c.reference.given,
        "divergence": c.divergence.regularises,
        "sft": c.sft.parallel,
        "anchor": c.anchor.reads_tokens,
        "weighting": bool(c.weighting.token_statistics),
        "objective": objective.imitates
        or objective.per_token
        or objective.reads_reference
        or objective.nonpositive_reward
        or bool(objective.token_statistics),
    }
    for group, so in reads.items():
        if so:
            return Reason(
                f"{c.choice(group)} is about probabilities of tokens, and {c.choice('reward')} trains a "
                "score: no token is predicted.",
                (group, "reward"),
            )
    return None


def _tokens_are_pooled(c: Composition) -> Reason | None:
    if not c.reward.trains_head or c.reward_level.per_token:
        return None
    if not c.length.averages and not c.length.several:
        return None
    return Reason(
        f"{c.choice('reward')} reads a response's last token where {c.choice('reward_level')}, so there is "
        f"nothing that {c.choice('length')} could pool.",
        ("length", "reward_level"),
    )


def _pairs_have_gaps_alone(c: Composition) -> Reason | None:
    """A model of pairs gives log-odds that are no differences of rewards."""
    if not c.reward.trains_head or not c.reward_form.of_pairs:
        return None
    wrong = {
        "objective": not c.objective.by_gaps or c.objective.statistic_rows != "none",
        "polarity": c.polarity.negative_only,
        "length": c.length.has_offset,
        "margin": not c.margin.difference,
        "weighting": c.weighting.rescales,
        "anchor": c.anchor.reads_reward,
    }
    for group, so in wrong.items():
        if so:
            return Reason(
                f"{c.choice('reward_form')} gives the log-odds of two responses, and {c.choice(group)} reads "
                "rewards of single ones.",
                (group, "reward_form"),
            )
    return None


def _head_settings_are_read(c: Composition) -> Reason | None:
    if not c.reward.trains_head:
        return None
    if c.reward.planes is not None and not c.reward_form.of_pairs:
        return Reason(
            f"reward.planes={c.reward.planes} is not read: with {c.choice('reward_form')} a response has a "
            "score of its own, and no cycles.",
            ("reward_form",),
            fix=("reward.planes=null",),
        )
    if c.reward.sign < 0 and c.reward_form.of_pairs:
        return Reason(
            f"reward.sign={c.reward.sign} saves a response's score as its cost, and "
            f"{c.choice('reward_form')} gives no score of one.",
            ("reward_form",),
            fix=("reward.sign=1",),
        )
    if c.reward.members > 1 and c.reward_form.of_pairs:
        return Reason(
            f"reward.members={c.reward.members} are scores of single responses, and "
            f"{c.choice('reward_form')} reads two.",
            ("reward_form",),
            fix=("reward.members=1",),
        )
    return None


def _two_are_read_at_once(c: Composition) -> Reason | None:
    if not c.reward.trains_head or not c.reward.together:
        return None
    wrong = {
        f"{c.choice('reward_form')} scores one": not c.reward_form.of_pairs,
        f"{c.choice('reward_level')} reads all tokens of one": c.reward_level.per_token,
    }
    for why, so in wrong.items():
        if so:
            return Reason(
                f"reward.reading=together reads two responses at once, and {why}.",
                ("reward_form", "reward_level"),
                fix=("reward.reading=apart",),
            )
    if c.reward.planes is None:
        return None
    return Reason(
        f"reward.planes={c.reward.planes} is not read: where reward.reading=together any circle can be held.",
        ("reward_form",),
        fix=("reward.planes=null",),
    )


def _members_have_no_statistic(c: Composition) -> Reason | None:
    if not c.reward.trains_head or c.reward.members == 1:
        return None
    for group in ("objective", "weighting"):
        if c.components()[group].statistic_rows != "none":
            return Reason(
                f"{c.choice(group)} takes a statistic of the whole step, and reward.members="
                f"{c.reward.members} see other rows each.",
                (group,),
                fix=("reward.members=1",),
            )
    return None


RULES: tuple[Rule, ...] = (
    _form_has_a_head,
    _nothing_reads_tokens,
    _tokens_are_pooled,
    _pairs_have_gaps_alone,
    _head_settings_are_read,
    _two_are_read_at_once,
    _members_have_no_statistic,
)
