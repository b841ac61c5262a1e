"""Rules about demonstrations that a run makes first: who revises, what, and who imitates it."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.judge.demonstrations import reviser_of


def _somebody_revises(c: Composition) -> Reason | None:
    if not c.revision.applies or reviser_of(c) is not None:
        return None
    who = c.choice("annotator")
    if c.annotator.first:
        who += f", whose reward model learns from {c.annotator.before(c).choice('annotator')},"
    return Reason(
        f"{c.choice('revision')} asks an annotator with principles for critiques and revisions, and {who} "
        "has none; annotator=constitution has.",
        ("revision", "annotator"),
        fix=("revision=none",),
    )


def _there_are_texts(c: Composition) -> Reason | None:
    if not c.revision.applies or "texts" in c.data.provides:
        return None
    return Reason(
        f"{c.choice('revision')} revises texts, and {c.choice('data')} has none.",
        ("revision", "data"),
        fix=("revision=none",),
    )


def _demonstrations_are_made_once(c: Composition) -> Reason | None:
    if not c.revision.applies or c.data.demonstrations is None:
        return None
    return Reason(
        f"{c.choice('revision')} makes the demonstrations, and data.demonstrations={c.data.demonstrations} "
        "gives others.",
        ("revision", "data"),
        fix=("data.demonstrations=null",),
    )


def _revisions_are_imitated(c: Composition) -> Reason | None:
    if not c.revision.applies or c.sft.stage or (c.sft.merges and c.objective.policy_gradient):
        return None
    return Reason(
        f"{c.choice('revision')} makes demonstrations, and with {c.choice('sft')} nobody imitates any.",
        ("revision", "sft"),
        fix=("sft=separate",),
    )


RULES: tuple[Rule, ...] = (
    _somebody_revises,
    _there_are_texts,
    _demonstrations_are_made_once,
    _revisions_are_imitated,
)
"""Of every composition."""
