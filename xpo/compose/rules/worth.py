"""Rules about what samples of a policy gradient are worth: who says so, of what, and where it stands."""

from __future__ import annotations

from xpo import registry
from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.compose.rules.society import by_observer, labeller, labels
from xpo.written import reset


def _reward_is_a_scorers(c: Composition) -> Reason | None:
    if c.reward.relabels:
        return None
    return Reason(
        f"{c.choice('objective')} reinforces what somebody says of samples, and {c.choice('reward')} is none "
        "of that.",
        ("reward", "objective"),
    )


def _somebody_scores(c: Composition) -> Reason | None:
    """The annotator says what the feedback takes."""
    if not c.feedback.on_policy:
        return Reason(
            f"{c.choice('feedback')} says nothing of what a sample is worth.", ("feedback", "objective")
        )
    if not c.reward_form.reads:
        return Reason(
            f"{c.choice('reward_form')} is for objectives without a reward.", ("reward_form", "objective")
        )
    of_pairs = c.reward_form.reads == "wins"
    wanted = {c.reward_form.reads} if of_pairs else {c.feedback.on_policy}
    lacking = sorted(wanted - labels(c))
    if lacking:
        return Reason(
            f"{c.choice('feedback')} with {c.choice('reward_form')} takes {' and '.join(lacking)}, and "
            f"{c.choice(labeller(c))} gives {', '.join(sorted(labels(c)))}.",
            (labeller(c), "feedback", "reward_form"),
            fix=by_observer(c),
        )
    return None


def _rewards_have_a_place(c: Composition) -> Reason | None:
    level = c.reward_level
    if not level.gives_reward or level.per_token:
        return Reason(
            f"{c.choice('objective')} puts rewards where responses or their parts end, and "
            f"{c.choice('reward_level')} says nothing of that.",
            ("reward_level", "objective"),
        )
    if level.of_parts and not c.annotator.judges_parts:
        return Reason(
            f"{c.choice('reward_level')} puts rewards where parts of responses end, and "
            f"{c.choice('annotator')} judges whole ones (parts: {', '.join(_judges_of_parts(c))}).",
            ("reward_level", "annotator"),
        )
    unread = tuple(reset("reward_level", level))  # they say which labels of given parts are good
    if level.of_parts and unread:
        return Reason(
            f"{c.choice('reward_level')}, as it is set, is about labels of parts that are given.",
            ("reward_level",),
            unread,
        )
    return None


def _judges_of_parts(c: Composition) -> list[str]:
    """Options that could, of the run's data; what depends on an option's settings is left out."""
    found = {name: vars(registry.component("annotator", name)) for name in registry.names("annotator")}
    able = [name for name, said in found.items() if said.get("judges_parts") is True]
    fit = [name for name in able if found[name].get("needs", frozenset()) <= c.data.provides]
    return [f"annotator={name}" for name in fit] or ["nobody"]


def _parts_have_scores(c: Composition) -> Reason | None:
    """What parts are worth is taken as the annotator says it, and nothing else of the response."""
    if not c.reward_level.of_parts:
        return None
    whole = {"feedback": c.feedback.on_policy != "scores", "reward_form": c.reward_form.reads != "scores"}
    for group, so in whole.items():
        if so:
            return Reason(
                f"{c.choice(group)} makes one number of a whole response, and {c.choice('reward_level')} "
                "takes those of its parts.",
                (group, "reward_level"),
            )
    if c.sampling.missing_eos:
        return Reason(
            f"sampling.missing_eos={c.sampling.missing_eos:g} lowers scores of whole responses, and "
            f"{c.choice('reward_level')} takes those of its parts.",
            ("reward_level",),
            fix=("sampling.missing_eos=0.0",),
        )
    if c.advantage.to_go or c.reward.clip is not None:
        return None
    return Reason(
        f"{c.choice('advantage')} credits every token with all that its response earned, so it makes no "
        f"difference where {c.choice('reward_level')} puts it.",
        ("reward_level", "advantage"),
    )


RULES: tuple[Rule, ...] = (
    _reward_is_a_scorers,
    _somebody_scores,
    _rewards_have_a_place,
    _parts_have_scores,
)
"""Of a policy gradient."""
