"""Rules about those who talk to each other: what they need, and who says what samples are worth."""

from __future__ import annotations

from xpo.compose.asked import asked
from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.written import written


def labeller(c: Composition) -> str:
    """The group that says what responses are worth: who samples, where its own ratings are taken."""
    return "sampling" if c.sampling.rates else "annotator"


def labels(c: Composition) -> frozenset[str]:
    """What it says, of contracts.FEEDBACK."""
    return c.sampling.rates or c.annotator.gives


def by_observer(c: Composition) -> tuple[str, ...]:
    """The change that lets the annotator say it, where who samples does."""
    return ("sampling.scores=observer",) if c.sampling.rates else ()


def _words_are_there(c: Composition) -> Reason | None:
    if not c.sampling.converses or "texts" in c.data.provides:
        return None
    return Reason(
        f"{c.choice('sampling')} tells agents in words what they recall and what others say, and "
        f"{c.choice('data')} has none.",
        ("sampling", "data"),
        fix=(
            "sampling.peers=0",
            "sampling.recalled=0",
            "sampling.memories=null",
            "sampling.peer_model=null",
            "sampling.revisions=0",
            "sampling.scores=observer",
        ),
    )


def _nobody_else_answers(c: Composition) -> Reason | None:
    if not c.sampling.converses or c.sampling.given == "none":
        return None
    return Reason(
        f"sampling.given={c.sampling.given} is a response that nobody of {c.choice('sampling')} gave, and "
        "nobody rates it.",
        ("sampling",),
        fix=("sampling.given=none",),
    )


def _peers_rate_whole_responses(c: Composition) -> Reason | None:
    if not c.sampling.rates or not c.reward_level.of_parts:
        return None
    return Reason(
        f"sampling.scores of {c.choice('sampling')} are of whole responses, and {c.choice('reward_level')} "
        "takes those of their parts.",
        ("reward_level", "sampling"),
        fix=by_observer(c),
    )


def _what_agents_do_is_read(c: Composition) -> Reason | None:
    changes = asked(c, "sampling", *c.sampling.idle)
    if not changes:
        return None
    names = " and ".join(
        f"sampling.{key}={written(vars(c.sampling)[key])}"
        for key in c.sampling.idle
        if any(change.startswith(f"sampling.{key}=") for change in changes)
    )
    return Reason(
        f"{names} would change nothing: nobody of {c.choice('sampling')}, as it is set, reads it.",
        ("sampling",),
        changes,
    )


RULES: tuple[Rule, ...] = (
    _words_are_there,
    _nobody_else_answers,
    _peers_rate_whole_responses,
    _what_agents_do_is_read,
)
"""Of every composition."""
