"""Rules about what heads are trained beside, from where they begin, and what is left of them."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.errors import ConfigError, Refused
from xpo.compose.rules.reason import Reason, Rule


def _nothing_else_is_trained_beside(c: Composition) -> Reason | None:
    if not c.reward.trains_head or not c.critic.gives:
        return None
    return Reason(
        f"{c.choice('critic')} is trained beside a policy that predicts tokens, and {c.choice('reward')} "
        "trains a head in its place.",
        ("critic", "objective"),
    )


def _a_scorer_samples_before_it_is_one(c: Composition) -> Reason | None:
    """What a reward model's trunk says as a policy it says before its training."""
    if not c.sampling.samples or not c.reward.trains_head or not c.schedule.refreshes:
        return None
    return Reason(
        f"{c.choice('reward')} trains a policy into a scorer, which samples no more, and "
        f"{c.choice('schedule')} renews samples.",
        ("schedule", "reward"),
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


def _what_is_trained_first_has_a_meaning(c: Composition) -> Reason | None:
    """Before anything is loaded, not when its turn comes."""
    if not c.annotator.first:
        return None
    try:
        before = c.annotator.before(c)
    except Refused as refusal:
        return _of_first(c, refusal.reason, c.annotator.outer(refusal.nearest))
    except ConfigError as error:
        return _of_first(c, str(error), ())
    if before.reward.trains_head and not before.reward_form.of_pairs:
        return None
    return Reason(
        f"{c.choice('annotator')} scores single responses, and algo={before.config['algo']['name']} trains "
        "no model that does.",
        ("annotator",),
        fix=("annotator.algo=reward_bt",),
    )


def _of_first(c: Composition, why: str, fix: tuple[str, ...]) -> Reason:
    """Another annotator is no fix: it is this one's run that is at fault."""
    text = f"{c.choice('annotator')} trains a model first (annotator.algo, overrides), and that run: {why}"
    return Reason(text, ("annotator",), fix, searched=False)


def _a_reward_model_is_renewed_between_rounds(c: Composition) -> Reason | None:
    if not c.annotator.first or not c.annotator.refresh:
        return None
    if c.schedule.rounds > 1 and c.sampling.samples:
        return None
    group = "sampling" if c.schedule.rounds > 1 else "schedule"
    why = "answers no prompt" if c.schedule.rounds > 1 else "has one round"
    return Reason(
        f"annotator.refresh={c.annotator.refresh} trains the reward model anew between rounds, on what the "
        f"policy answers then, and {c.choice(group)} {why}.",
        (group, "annotator"),
        fix=("schedule=refreshed",) if group == "schedule" else ("annotator.refresh=0",),
    )


def _a_held_out_model_has_samples_to_judge(c: Composition) -> Reason | None:
    if not c.annotator.first or not c.annotator.held_out or c.sampling.samples:
        return None
    return Reason(
        f"annotator.held_out=true compares what two reward models say of samples, and {c.choice('sampling')} "
        "draws none.",
        ("sampling", "annotator"),
        fix=("annotator.held_out=false",),
    )


def _all_comparisons_are_labelled(c: Composition) -> Reason | None:
    if not c.annotator.first or not (c.annotator.refresh or c.annotator.held_out):
        return None
    before = c.annotator.before(c)
    if not before.query.chooses:
        return None
    return Reason(
        f"{c.choice('annotator')} says which comparisons its reward model learns (refresh, held_out), and "
        f"that run's {before.choice('query')} chooses others.",
        ("annotator",),
        fix=("annotator.refresh=0", "annotator.held_out=false"),
    )


FIRST: tuple[Rule, ...] = (
    _what_is_trained_first_has_a_meaning,
    _a_reward_model_is_renewed_between_rounds,
    _a_held_out_model_has_samples_to_judge,
    _all_comparisons_are_labelled,
)
"""Of every composition."""

RULES: tuple[Rule, ...] = (
    _nothing_else_is_trained_beside,
    _a_scorer_samples_before_it_is_one,
    _a_head_is_pretrained,
    _a_scorer_is_trained_on,
    _a_reward_model_is_whole,
)
