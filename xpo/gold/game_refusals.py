"""What of a composition a game of the gold world would not read, or could not give."""

from __future__ import annotations

from typing import Any

from xpo.gold.refusals import Refusal, needs_of, told_of, unread_refusal

_SAID = frozenset({"noise", "seed", "exact"})  # of a labeller whose margins are the game's


def game_refusal(parts: Any, size: int | None) -> Refusal | None:
    """Why the labeller of a game cannot say this. ``size``: responses of a drawn record; None: none is drawn.

    An order of three or more responses has other probabilities than a game: of R, S and P, each of whom is
    preferred over the next, an order turns one round. So has an order by utilities, whoever is in it.
    """
    model = parts.annotator.label_model
    if model is None:
        return None
    idle = {name: unset for name, unset in told_of(parts).items() if name not in _SAID}
    refusal = unread_refusal("data.game has win probabilities of its own: {} not read.", idle)
    if refusal is not None or size is None or not _reads_order(parts):
        return refusal
    if model.exact:
        text = "annotator.exact=true prefers by scores, and in a game (data.game) no score says who wins."
        return text, ("annotator.exact=false",)
    if size == 2:
        return None
    return f"no order of {size} responses has the win probabilities of a game (data.game).", _fix(parts)


def _reads_order(parts: Any) -> bool:
    """Whether it matters which of drawn responses comes before which."""
    feedback, needs = parts.feedback, needs_of(parts)
    if parts.objective.policy_gradient:
        return feedback.on_policy == "comparisons" and parts.reward_form.reads != "wins"
    if feedback.contrasts or feedback.soft_masses or "comparisons" not in feedback.gives:
        return False
    return "comparisons" in needs or ("labels" in needs and feedback.labels_from_pairs)


def _fix(parts: Any) -> tuple[str, ...]:
    if not parts.sampling.samples:
        return ("data.responses=2",)
    if parts.objective.policy_gradient:
        return ("reward_form=pairwise",)
    return ("feedback.soft=true",) if parts.sampling.rivals else ("sampling.responses=2",)
