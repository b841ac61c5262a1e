"""What a combination needs and what should be known about it, from what its components declare."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xpo.explain.samples import about_gradient, about_samples, gradient_optimum, needs_samples
from xpo.explain.symbols import SYMBOLS

if TYPE_CHECKING:
    from xpo.arrows import Arrow
    from xpo.compose.composition import Composition


def needs(c: Composition, arrow: Arrow) -> list[str]:
    """Data, models and passes without which the combination cannot run."""
    sampling = needs_samples(c) if c.sampling.samples else ["no sampling during training"]
    found = [_rows(c, arrow), _reference(c, arrow), *sampling]
    for kind in sorted(arrow.statistic_rows):
        rows = {"step": "its own rows", "mismatched": "mismatched rows of it"}[kind]
        found.append(f"statistics of the whole optimizer step over {rows}, scored without gradient")
    for statistic in arrow.token_statistics:
        found.append(f"{SYMBOLS[statistic.name]}, in chunks of the vocabulary's logits")
    if c.critic.gives:
        found.append(f"a critic ({c.option('critic')}), trained beside the policy")
    if arrow.prompt_edges:
        found.append("log-probabilities of the prompt's tokens too")
    if c.sft.stage:
        found.append(c.sft.requires)
    return found


def _rows(c: Composition, arrow: Arrow) -> str:
    """What the data must hold."""
    if c.objective.policy_gradient:
        return "prompts, and demonstrations to imitate beside them" if c.sft.merges else "prompts"
    low, high = c.arity.sizes
    size = str(low) if low == high else f"{low} or more" if high is None else f"{low} to {high}"
    rows = f"rows with {' and '.join(sorted(arrow.needs))}, {size} response{'s' if size != '1' else ''} each"
    return f"prompts, of which {rows}, are made" if c.sampling.samples else rows


def _reference(c: Composition, arrow: Arrow) -> str:
    if not c.reference.given:
        return "no reference"
    how = "its log-probabilities can be cached" if c.reference.cacheable else "it follows the policy"
    if c.objective.policy_gradient:
        how = "it scores every rollout" + ("" if c.reference.cacheable else " and follows the policy")
    if any(statistic.needs_reference for statistic in arrow.token_statistics):
        how = "whole distributions of it are compared, so it is scored beside the policy"
    return f"a reference ({c.option('reference')}): {how}"


def notes(c: Composition, arrow: Arrow) -> list[str]:
    """What the formula does not say by itself."""
    deviations = c.config["algo"].get("deviations", "none")
    found = [] if deviations == "none" else [f"Deviations from the paper: {deviations}."]
    found += about_gradient(c) if c.objective.policy_gradient else _about_rows(c)
    if c.sampling.samples:
        found += about_samples(c)
    if c.query.chooses:
        found.append(_about_labels(c))
    if c.sft.merges:
        found.append("The likelihood term pulls towards the demonstrations.")
    return [*found, optimum(c)]


def _about_labels(c: Composition) -> str:
    """Of labels by a budget."""
    pool = "of what the policy answers" if c.sampling.samples else "of the rows that have no label yet"
    stays = "" if c.sampling.samples else " Those of earlier rounds are trained on along with them."
    return (
        f"In each of {c.schedule.rounds} rounds {c.query.budget} {pool} are labelled ({c.choice('query')}); "
        f"the first round's are drawn. Nobody is asked about the others.{stays}"
    )


def _about_rows(c: Composition) -> list[str]:
    """Of losses of rows that are given, or made of samples."""
    found = []
    if c.objective.reads_reward:
        found += _about_the_link(c)
    if c.reward_level.per_token:
        same = "The loss is that of whole responses, its link being linear. " if c.divergence.linear else ""
        found.append(f"{same}The rewards of held-out responses' tokens are written after training.")
    if c.reward.relabels and "comparisons" in c.objective.needs:
        found.append(
            "The labels that rows came with only say which responses are compared; "
            f"who is preferred is the scorer's probability (reward={c.option('reward')})."
        )
    if c.polarity.negative_only:
        found.append("The preferred response counts as reward 0, that of any response under the reference.")
    if c.sft.parallel:
        found += c.sft.notes
    if c.label_noise.unbounded:
        found.append(
            "The opposite label has negative mass: a loss that grows without end has no lower bound where "
            "labels are separable."
        )
    return found


NO_OPTIMUM = "No exact optimum is claimed."


def optimum_is_known(c: Composition) -> bool:
    """Whether the loss has a known optimum on a whole population with labels as it takes them for."""
    from xpo.gold.target import has_target

    return gradient_optimum(c) is not None if c.objective.policy_gradient else has_target(c)


def optimum(c: Composition) -> str:
    """What that optimum is."""
    rate = c.label_noise.undone
    if not optimum_is_known(c):
        told = c.config["algo"].get("optimises")
        return f"No exact optimum is claimed. The preset as it stands: {told}." if told else NO_OPTIMUM
    if c.objective.policy_gradient:
        return f"The policy at which its expected gradient is 0 is known: {gradient_optimum(c)}."
    fitted = {"log_odds": "r", "scores": "r", "win_rate": "P(y beats the reference)"}[c.objective.fits]
    fitted = "log(demonstrator / reference)" if c.feedback.contrasts else fitted
    if c.reward.relabels and c.reward_form.averages:
        fitted = {"log_odds": "P(y beats the reference)", "win_rate": "E sigmoid(P_y - P_reference)"}[
            c.objective.fits
        ]
    if c.reward.relabels and c.reward.scale != 1:
        fitted = f"{fitted} (of scores / {c.reward.scale:g})"
    scaled = fitted if c.objective.fit_scale == 1 else f"{c.objective.fit_scale:g} {fitted}"
    scaled += f" - {c.length.offset_text()}" if c.length.has_offset else ""
    if c.length.averages or not c.reference.given:
        known = f"rewards equal {scaled} up to a constant of the prompt"
    else:
        known = f"that of E[{scaled}] - {c.reward.beta:g} D ({_regularised(c)})"
    limit = c.objective.fit_limit
    held = "" if math.isinf(limit) else f", if reward differences stay below {limit:g} there"
    flipped = f" whose labels are flipped at rate {rate:g}" if rate else ""
    return f"Its optimum on a whole population{flipped} is known: {known}{held}."


def _regularised(c: Composition) -> str:
    """The divergence whose link is used; the bare log-ratio is that of the reverse KL."""
    return c.option("divergence") if c.divergence.regularises else "reverse_kl"


def _about_the_link(c: Composition) -> list[str]:
    if not c.reference.given:
        bare = "Without a reference ref_logp is 0: log_ratio is the policy's own log-likelihood"
        reshaped = "" if c.divergence.linear else f", which divergence={c.option('divergence')} reshapes"
        return [f"{bare}{reshaped}. No divergence is regularised."]
    if c.reward_level.per_token and not c.divergence.linear:
        return ["The link acts on tokens: an expected sum of per-state divergences, not that of responses."]
    if c.length.averages:
        return ["The link acts on mean log-ratios: no divergence of whole responses is regularised."]
    if c.objective.absorbs_constant:
        return [
            f"The implicit reward is that of max E[r] - beta D ({_regularised(c)}) up to a constant of the "
            "prompt, which the value of the prompt takes up."
        ]
    if not c.objective.difference:
        return ["The objective reads more than reward differences: its optimum is not that of a divergence."]
    return [
        f"The implicit reward is that of max E[r] - beta D ({_regularised(c)}) up to a constant of the "
        "prompt, which cancels in reward differences."
    ]
