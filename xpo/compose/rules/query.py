"""Rules about labels by a budget: rounds to choose in, labels that are read, rewards to choose by."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _there_are_rounds(c: Composition) -> Reason | None:
    if not c.query.chooses or c.schedule.rounds > 1:
        return None
    return Reason(
        f"{c.choice('query')} says in each round what is labelled next, and {c.choice('schedule')} has none.",
        ("query", "schedule"),
        fix=("schedule=iterative",),
    )


def _labels_are_read(c: Composition) -> Reason | None:
    if not c.query.chooses:
        return None
    if c.feedback.contrasts:
        return Reason(
            f"{c.choice('query')} says what is labelled, and {c.choice('feedback')} prefers demonstrations "
            "to samples: nobody labels any.",
            ("query", "feedback"),
        )
    parts = (c.objective, c.sft, c.margin, c.anchor, c.weighting)
    needs = frozenset[str]().union(*(part.needs for part in parts))
    if needs <= {"demonstrations"} and not c.reward.relabels and not c.sampling.reads_values:
        return Reason(
            f"{c.choice('query')} says what is labelled, and {c.choice('objective')} imitates responses, "
            "whatever is said of them.",
            ("query", "objective"),
        )
    return None


def _rows_are_the_budgets(c: Composition) -> Reason | None:
    """What else would say which rows a round trains on, or read labels before the first round."""
    if not c.query.chooses:
        return None
    if c.schedule.chunks:
        return Reason(
            f"schedule.rows={c.schedule.rows} cuts labelled rows into rounds, and {c.choice('query')} has "
            "them labelled round by round.",
            ("schedule", "query"),
            fix=("schedule.rows=all",),
        )
    if c.sampling.converses:
        return Reason(
            f"{c.choice('query')} leaves samples unlabelled, and {c.choice('sampling')} remembers what the "
            "annotator says of each.",
            ("query", "sampling"),
        )
    early = {"weighting": c.weighting.ahead, "sft": c.sft.parallel}
    for group, so in early.items():
        if so and not c.sampling.samples:
            return Reason(
                f"{c.choice(group)} reads the labels of all rows before the first round, and "
                f"{c.choice('query')} has them labelled round by round.",
                (group, "query"),
            )
    return None


def _the_policy_prefers(c: Composition) -> Reason | None:
    if not c.query.reads_odds:
        return None
    if not c.objective.reads_reward:
        return Reason(
            f"{c.choice('query')} reads how surely the trained reward prefers a response, and "
            f"{c.choice('objective')} trains none.",
            ("query", "objective"),
        )
    if not c.reward_level.ends or c.reward_level.by_spans:
        return Reason(
            f"{c.choice('query')} compares whole responses, and {c.choice('reward_level')} has parts of them "
            "labelled.",
            ("query", "reward_level"),
        )
    if "comparisons" not in c.feedback.gives:
        return Reason(
            f"{c.choice('query')} compares a prompt's responses, and {c.choice('feedback')} is about each "
            "alone.",
            ("query", "feedback"),
        )
    if c.reference.renewed and not c.reward.trains_head:
        return Reason(
            f"{c.choice('query')} reads rewards as a round begins, and with {c.choice('reference')} the "
            "policy is its own reference then: all are 0.",
            ("reference", "query"),
            fix=("reference=frozen",),
        )
    return None


def _members_disagree(c: Composition) -> Reason | None:
    if not c.query.several or (c.reward.trains_head and c.reward.members > 1):
        return None
    return Reason(
        f"{c.choice('query')} is that of several heads of a reward model, and {c.choice('reward')} has "
        f"{'one' if c.reward.trains_head else 'none'}.",
        ("query", "reward"),
        fix=("reward.members=8",) if c.reward.trains_head else (),
    )


RULES: tuple[Rule, ...] = (
    _there_are_rounds,
    _labels_are_read,
    _rows_are_the_budgets,
    _the_policy_prefers,
    _members_disagree,
)
"""Of every composition."""
