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


def _nothing_else_is_trained_beside(c: Composition) -> Reason | None:
    if not c.reward.trains_head or not c.critic.gives:
        return None
    return Reason(
        f"{c.choice('critic')} is trained beside a policy that predicts tokens, and {c.choice('reward')} "
        "trains a head in its place.",
        ("critic", "objective"),
    )


def _a_head_is_pretrained(c: Composition) -> Reason | None:
    if not c.pretraining.applies:
        return None
    if not c.reward.trains_head:
        return Reason(
            f"{c.choice('pretraining')} trains a reward model's head, and {c.choice('reward')} has none.",
            ("pretraining", "reward"),
            fix=("pretraining=none",),
        )
    if not c.data.pretrains:
        return Reason(
            f"{c.choice('pretraining')} learns other comparisons first, and {c.choice('data')} brings none.",
            ("pretraining", "data"),
            fix=("data.pretraining=FILE",),
        )
    return None


def _a_scorer_is_trained_on(c: Composition) -> Reason | None:
    """A reward model that a run begins with has a head, and no output that predicts tokens."""
    if not c.model.scores_responses:
        return None
    if not c.reward.trains_head:
        return Reason(
            f"{c.choice('model')} begins with a reward model, which predicts no token, and "
            f"{c.choice('reward')} is about probabilities of tokens.",
            ("model",),
            fix=("model.path=FOLDER_OF_A_LANGUAGE_MODEL",),
        )
    if c.sft.merges or c.pretraining.imitation:
        group, fix = ("sft", "sft=none") if c.sft.merges else ("pretraining", "pretraining.imitation=0")
        return Reason(
            f"{c.choice(group)} trains a likelihood, and {c.choice('model')} begins with a reward model, "
            "which predicts no token.",
            (group, "model"),
            fix=(fix,),
        )
    return None


def _a_reward_model_is_whole(c: Composition) -> Reason | None:
    if not c.reward.trains_head or not c.adapter.adapts or c.adapter.merge:
        return None
    return Reason(
        f"{c.choice('reward')} is exported as one model with its head, and adapter.merge=false keeps the "
        "adapter apart.",
        ("adapter",),
        fix=("adapter.merge=true",),
    )


RULES: tuple[Rule, ...] = (
    _form_has_a_head,
    _nothing_reads_tokens,
    _tokens_are_pooled,
    _pairs_have_gaps_alone,
    _head_settings_are_read,
    _members_have_no_statistic,
    _nothing_else_is_trained_beside,
    _a_head_is_pretrained,
    _a_scorer_is_trained_on,
    _a_reward_model_is_whole,
)
