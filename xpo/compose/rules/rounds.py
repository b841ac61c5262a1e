"""Rules about rounds: what each has of those before."""

from __future__ import annotations

from xpo.compose.asked import asked
from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule


def _earlier_samples_are_kept(c: Composition) -> Reason | None:
    if not c.schedule.replay or c.sampling.samples:
        return None
    return Reason(
        f"schedule.replay={c.schedule.replay} trains on samples of earlier rounds again, and "
        f"{c.choice('sampling')} draws none.",
        ("schedule", "sampling"),
        fix=("schedule.replay=0",),
    )


def _so_many_rounds_come_before(c: Composition) -> Reason | None:
    """A preset's own number is left alone where a run has fewer rounds: all of them, then."""
    most = c.schedule.rounds - 1
    if c.schedule.replay <= most or not asked(c, "schedule", "replay"):
        return None
    return Reason(
        f"schedule.replay={c.schedule.replay} trains on samples of so many earlier rounds again, and before "
        f"the last of schedule.rounds={c.schedule.rounds} there are {most}.",
        ("schedule",),
        fix=(f"schedule.replay={most}",),
    )


def _a_round_has_something_of_those_before(c: Composition) -> Reason | None:
    """Where each begins anew, and nothing else goes on, the last alone would be the result."""
    schedule = c.schedule
    if schedule.rounds == 1 or not schedule.restarts or _goes_on(c):
        return None
    if schedule.keep_best is not None and (schedule.online or schedule.lr_decay < 1):
        return None  # the best of several tries
    return Reason(
        "schedule.begin=first trains the initial policy anew in each round, and with "
        f"{c.choice('sampling')}, {c.choice('reference')} and {c.choice('query')} nothing of a round goes "
        "on: each would do what the first did.",
        ("schedule", "reference"),
        fix=("schedule.begin=last",),
    )


def _goes_on(c: Composition) -> bool:
    """Whether a round that trains the initial policy trains it on, or holds it by, what came before."""
    moves = c.reference.given and not c.reference.cacheable
    own = c.sampling.samples and not c.schedule.online  # drawn by the policy of the round before
    return bool(
        moves
        or (own and (c.sampling.weight < 1 or c.schedule.replay))
        or c.schedule.chunks
        or c.query.chooses
        or c.sampling.converses  # agents remember
        or (c.annotator.first and c.annotator.refresh)
    )


RULES: tuple[Rule, ...] = (
    _earlier_samples_are_kept,
    _so_many_rounds_come_before,
    _a_round_has_something_of_those_before,
)
"""Of every composition."""
