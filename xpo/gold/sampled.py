"""What the gold world cannot do, or would not read, where a run samples."""

from __future__ import annotations

from typing import Any

from xpo.compose.asked import asked
from xpo.gold.refusals import Refusal, needs_of, nobody_labels, told_of, unread_refusal

_DRAWN = frozenset({"noise", "length_bias", "scale", "seed"})  # of a drawn score, or a label of one response
_PAIRS = frozenset({"ties", "intransitivity"})
_WINS = frozenset({"noise", "length_bias", "scale"}) | _PAIRS  # of a probability of winning


def sampling_refusal(sampling: Any, longest: int) -> Refusal | None:
    """Why responses of the world, which are drawn whole and exactly, cannot be drawn like this.

    ``longest``: tokens of the longest one, EOS included.
    """
    unread = {
        "prompt_template": (sampling.prompt_template, None, ("sampling.prompt_template=null",)),
        "server": (sampling.server, None, ("sampling.server=null", "sampling.server_folder=null")),
        "missing_eos": (sampling.missing_eos, 0.0, ("sampling.missing_eos=0.0",)),
    }
    for name, (value, unset, fix) in unread.items():
        if value != unset:
            text = f"sampling.{name}={value} is not read: the gold world draws whole responses to its own"
            return f"{text} prompts.", fix
    if sampling.stop or sampling.max_new_tokens < longest:
        text = f"the gold world knows whole responses, of up to {longest} tokens, and "
        if sampling.stop:
            return text + "sampling.stop cuts them.", ("sampling.stop=[]",)
        text += f"sampling.max_new_tokens={sampling.max_new_tokens} cuts them."
        return text, (f"sampling.max_new_tokens={longest}",)
    return None


def rounds_refusal(parts: Any) -> Refusal | None:
    """Why rounds of this run cannot be taken in expectation."""
    sampling = parts.sampling
    drawn = {
        "draws none": not sampling.samples,
        "draws from others than the policy": sampling.samples and not sampling.by_policy,
        "draws from another player, too": sampling.rivals > 0,
        "has a law of its own": sampling.samples
        and not (sampling.draw.whole and sampling.draw.temperature == 1),
        "takes responses that only files have": sampling.given == "worst",
        "sets a response of the data beside others to be judged": sampling.given == "best"
        and not parts.feedback.contrasts,
    }
    why = next((text for text, so in drawn.items() if so), None)
    who = parts.choice("sampling")
    if why is None and (parts.schedule.online or parts.objective.policy_gradient):
        who, why = parts.choice("schedule"), "takes samples as they come"
    if why is None:
        return _expected_refusal(parts)
    return f"data.exact_rounds=true is about samples of the policy in rounds, and {who} {why}.", (
        "data.exact_rounds=false",
    )


def _expected_refusal(parts: Any) -> Refusal | None:
    """What says how many samples there are, where there are none."""
    number = asked(parts, "sampling", "responses")
    unread = {"sampling.responses": parts.sampling.responses} if number else {}
    unread |= {"schedule.replay": parts.schedule.replay} if parts.schedule.replay else {}
    if not unread:
        return None
    told = " and ".join(f"{key}={value}" for key, value in unread.items())
    text = f"{told} would change nothing: data.exact_rounds=true takes all responses of each round's policy."
    return text, (*number, *(["schedule.replay=0"] if parts.schedule.replay else []))


def said_refusal(parts: Any) -> Refusal | None:
    """Why settings of the world's own labeller would say nothing of samples, and what would."""
    model = parts.annotator.label_model
    if model is None:
        return None
    if parts.feedback.contrasts:
        return nobody_labels(parts)
    read, told = _read(parts, model.exact), told_of(parts)
    idle = {name: unset for name, unset in told.items() if name not in read | {"exact"}}
    if model.exact and idle.keys() <= _read(parts, False):
        refusal = unread_refusal("annotator.exact=true gives the utilities as they are: {} not read.", idle)
        return None if refusal is None else (refusal[0], ("annotator.exact=false",))
    return unread_refusal(
        f"{{}} not read: with {parts.choice('feedback')}, {parts.choice('reward_form')} and "
        f"sampling.responses={parts.sampling.responses} single scores are, and those have none of it.",
        idle,
    )


def _read(parts: Any, exact: bool) -> frozenset[str]:
    """Settings that change what is made of samples."""
    alone = frozenset({"length_bias"}) if exact else _DRAWN
    of_scores = parts.feedback.on_policy != "labels"
    judged = parts.sampling.responses + parts.sampling.rivals
    if not exact and of_scores and judged == 2:  # the scores of two are a comparison's
        alone |= _PAIRS
    margins = {"length_bias", "intransitivity"} if "margins" in needs_of(parts) else frozenset()
    return alone | margins | (_WINS if _wins_are_read(parts) else frozenset())


def _wins_are_read(parts: Any) -> bool:
    """Probabilities of winning: by who rewards or chooses samples, or as the masses of comparisons."""
    valued = parts.objective.policy_gradient or parts.sampling.reads_values
    return bool(
        (valued and parts.reward_form.reads == "wins")
        or parts.feedback.soft_masses
        or "wins" in needs_of(parts)
    )
