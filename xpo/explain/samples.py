"""What a combination that samples needs and what should be known about it, from what its parts declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xpo.gold.reinforced import is_exact, self_play

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

_WORTH = {
    "scores": "A sample is worth its score",
    "labels": "A sample is worth 1 if it is good and 0 if it is bad",
    "comparisons": "A sample is worth the share of its comparisons that it wins",
}
"""By what the feedback makes a policy gradient's reward from (``on_policy``)."""


def needs_samples(c: Composition) -> list[str]:
    """Who samples, when, and who says what samples are worth; nothing is given but prompts."""
    option = c.sampling
    kept = f", at most {option.kept} of them trained on" if option.kept < option.responses else ""
    who = f"somebody who says what samples are worth ({_rated_by(c)}{_first(c)})"
    if c.feedback.contrasts:
        side = "above" if option.given == "best" else "below"
        given = f"a response of the data to each prompt, its {option.given}"
        who = f"{given}, which stands {side} the samples: nobody labels"
    return [
        f"samples from {_drawn_from(c)}: {option.responses} of a prompt{kept}, {_when(c)}{_beside(c)}",
        who,
    ]


def _beside(c: Composition) -> str:
    """Those that samples are compared with and that are not the policy's."""
    return f", beside {c.sampling.rivals} of {_rival(c)}" if c.sampling.rivals else ""


def _rival(c: Composition) -> str:
    option = c.sampling
    if option.mix == 1:
        return "the reference"
    if option.mix:
        player = "policy" if option.average is None else "average"
        return f"the mixture {player}^{1 - option.mix:g} reference^{option.mix:g}"
    return (
        "the policy"
        if option.average is None
        else f"the policy's average (sampling.average={option.average:g})"
    )


def _rated_by(c: Composition) -> str:
    if not c.sampling.rates:
        return c.choice("annotator")
    return f"peers, {c.choice('sampling')}; {c.choice('annotator')} says what is remembered"


def _drawn_from(c: Composition) -> str:
    weight = c.sampling.weight
    if not weight:
        return "the policy"
    return "the reference" if weight == 1 else f"policy and reference, mixed by sampling.weight={weight:g}"


def _when(c: Composition) -> str:
    if not c.schedule.online:
        return (
            "before training" if c.schedule.rounds == 1 else f"as each of {c.schedule.rounds} rounds begins"
        )
    steps = c.schedule.epochs * c.schedule.minibatches
    prompts = c.trainer.batch_size * c.schedule.minibatches
    times = "once" if c.schedule.epochs == 1 else f"{c.schedule.epochs} times"
    return f"in rollouts of {prompts} prompts, trained on {times} in {steps} step{'s' if steps > 1 else ''}"


def _first(c: Composition) -> str:
    if not c.annotator.first:
        return ""
    again = f", and anew between rounds with {c.annotator.refresh} more" if c.annotator.refresh else ""
    of = "samples" if c.annotator.before(c).sampling.samples else "the data's own responses"
    return f", trained first on comparisons of {of}{again}"


def about_samples(c: Composition) -> list[str]:
    """Of every combination that samples."""
    found = []
    if c.sampling.missing_eos:
        found.append(f"A sample that does not end is worth {c.sampling.missing_eos:g} less.")
    if c.sampling.prompt_template is not None:
        found.append("Samples are drawn for another prompt than is trained on (sampling.prompt_template).")
    if c.sampling.converses:
        found.append("Samples are drawn behind what agents recall and hear; rows keep the prompt alone.")
    if c.schedule.rounds > 1 and not c.schedule.online:
        found.append("Each round trains on samples of the policy that the round before it left.")
    return found


def about_gradient(c: Composition) -> list[str]:
    """Where rewards of a policy gradient come from, and traps on the way to its loss."""
    found = [_worth(c)]
    for part in (c.advantage, c.penalty, c.constraint, c.reduce):
        if part is c.reduce or part.applies:
            found += part.notes
    if c.polarity.negative_only:
        found.append("Samples that did better than expected are left out: what is good is not made likelier.")
    if c.objective.truncation is not None:
        found.append("Tokens count by how much likelier the policy finds them than who drew them, cut.")
    if c.objective.stop_kl is not None:
        found.append(
            f"A rollout is left once KL(old || policy) of a token is above {c.objective.stop_kl:g} nats."
        )
    if c.schedule.epochs * c.schedule.minibatches == 1 and c.policy_loss.reads_ratio:
        found.append("Each rollout is trained on once, so that the ratio is 1 and nothing is ever clipped.")
    return found


def _worth(c: Composition) -> str:
    if c.reward_level.of_parts:
        said = f"{c.choice('annotator')}, {c.choice('reward_level')}"
        return f"A part of a sample is worth what is said of it ({said})."
    worth = _WORTH[c.feedback.on_policy]
    won = ""
    if c.reward_form.reads == "wins":
        others = (
            f"{c.sampling.rivals} samples of {_rival(c)}"
            if c.sampling.rivals
            else "the prompt's other samples"
        )
        won = f", a score being the mean probability of winning against {others}"
    return f"{worth} ({c.choice('annotator')}, {c.choice('feedback')}){won}."


def gradient_optimum(c: Composition) -> str | None:
    """What a policy gradient's rest is the optimum of; None where nothing is claimed."""
    tau = self_play(c)
    if tau is not None:
        return f"the Nash policy of the game in which each player pays {tau:g} KL(policy || reference)"
    if not is_exact(c) or (c.constraint.applies and not c.divergence.linear):
        return None
    if c.constraint.applies:
        return f"that of the constraint, with E[cost] at most {c.constraint.limit:g}"
    worth = "r" if c.reward.scale == 1 else f"r / {c.reward.scale:g}"
    price = f" - {c.length.offset_text()}" if c.length.has_offset else ""
    return f"that of E[{worth}{price}] - {c.reward.beta:g} D ({c.option('divergence')})"
