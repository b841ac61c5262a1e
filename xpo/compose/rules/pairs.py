"""Rules about pairs that are made of several responses."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.idle import idle
from xpo.compose.rules.reason import Reason, Rule
from xpo.compose.rules.samples import together
from xpo.compose.rules.society import labeller, labels


def _somebody_says_how_surely(c: Composition) -> Reason | None:
    if not c.arity.reads_wins or "wins" in c.feedback.gives & labels(c):
        return None
    who = labeller(c) if "wins" in c.feedback.gives else "feedback"
    told = "asks nobody" if c.feedback.contrasts else "gives none"
    return Reason(
        f"arity.least={c.arity.least:g} reads probabilities of winning, and {c.choice(who)} {told}.",
        (who, "arity"),
        fix=("arity.least=null",),
    )


def _there_is_a_choice_of_pairs(c: Composition) -> Reason | None:
    if c.sampling.samples and together(c, c.sampling.kept) < 3:
        return idle(c, "arity", [*c.arity.of_several], "a prompt with two responses, which are one pair,")
    return idle(c, "arity", [*c.arity.idle], f"{c.choice('arity')}, as it is set,")


RULES: tuple[Rule, ...] = (_somebody_says_how_surely, _there_is_a_choice_of_pairs)
"""Of objectives of given rows."""
