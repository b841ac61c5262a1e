"""What a combination needs and what should be known about it, from what its components declare."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpo.arrow import OffPolicy
    from xpo.compose.composition import Composition
    from xpo.explain.formula import Formula

SYMBOLS = {
    "logp": "log-probability of a response token under the policy",
    "ref_logp": "the same under the reference, without gradient",
    "length": "trained tokens of a response, EOS included",
    "shortest": "length of the prompt's shortest response",
    "prefer": "K x K masses: response i was preferred over response j; they sum to 1 over a prompt",
    "good": "mass of a response labelled good",
    "bad": "mass of a response labelled bad",
    "demo": "mass of a response as a demonstration",
    "share": "how much a response counts among those of its prompt; they sum to 1",
    "head": "what the trained head says of a response, or of two (log-odds that i beats j)",
    "token_head": "what the trained head says at a response token",
    "score": "score of a response, higher is better",
    "prompt_value": "the critic's value of the prompt",
    "value": "the critic's value of what stands before a response token",
    "q1": "the first of the critic's two values of a response token, given what stands before it",
    "q2": "the second",
    "q1_logp": "log-softmax of the first over the vocabulary, at the token",
    "q2_logp": "log-softmax of the second",
    "slow_q": "the smaller one of two values of the token by slowly following copies, without gradient",
    "last_t": "last_t(x): a response's x at its last token, 0 at the others",
    "next_t": "next_t(x): x at the token after, 0 after the last",
    "win": "K x K probabilities that response i beats response j",
    "q": "q(x) = x, beside all samples of the step that it may be matched with",
    "sum_q": "over those samples",
    "meets": "how much of a margin stands, by size, where each of the reference's margins of the step does",
    "ref_margin": "K x K margins of the reference: beta times differences of its log-probabilities",
    "ref_margins": "the reference's margins of all pairs of the step, all ranks",
    "with_bad": "how much of a response stands, by reward, where each bad one of the step does",
    "with_good": "the same for bad responses and good ones",
    "bad_rewards": "rewards of the step's responses in their role as bad ones, all ranks, no gradient",
    "good_rewards": "the same as good ones",
    "good_share": "the part of the step's labels that are good",
    "bad_share": "the part that are bad",
    "step_good": "mean over the step's rows of the good responses' mass times reward, no gradient",
    "step_good_mass": "mean over the step's rows of their mass",
    "step_bad": "the same of bad responses",
    "step_bad_mass": "the same of bad responses",
    "past_good": "sum over earlier steps of what step_good was, each times its factor a step",
    "past_good_mass": "the same of step_good_mass",
    "past_bad": "the same of step_bad",
    "past_bad_mass": "the same of step_bad_mass",
    "step_gap": "mean reward gap at beta 1 over the step's rows, all ranks, no gradient",
    "past_gap": "usual_gap of the step before",
    "kept_gap": "mean reward gap at beta 1 over the rows that are kept",
    "drawn": "place of a row in a draw without replacement, likelier early if its gap is near usual_gap",
    "count": "rows of the step, all ranks",
    "z0": "max(0, mean reward of mismatched rows: prompts with others' responses), all ranks, no gradient",
    "kl_ref": "KL(ref || policy) of the next token, over the whole vocabulary",
    "log_sum_p2": "log of the sum over the vocabulary of squared next-token probabilities, no gradient",
    "rival": "rival(k): log-probability of another token, drawn from the k likeliest ones",
    "no_gradient": "the value, taken for a constant",
    "given_margin": "K x K margins that the data bring",
    "given_good": "mass of a response labelled good, as given",
    "mean_order_nll": "mean_order_nll(s, r): -log of Plackett and Luce's likelihood of an order under r, in "
    "expectation over the orders that they draw from s",
    "prompt_logp": "log-probability of the prompt's tokens after the first",
    "weight": "weight of a row, 0 for a filler",
    "given_weight": "weight of a row as the data have it",
    "density_ratio": "odds that a classifier gives a prompt to be one of a good row",
    "rows": "sum of the weights over the optimizer step, all ranks",
    "tokens": "demonstrated response tokens of the optimizer step, all ranks",
    "scored_tokens": "response tokens of the optimizer step, responses by their shares, all ranks",
    "prompt_length": "the prompt's tokens after the first",
    "responses": "number of responses of the prompt",
    "sum_p": "over the tokens of the prompt after the first",
    "prompt_tokens": "prompt tokens of the optimizer step that are scored, all ranks",
    "i": "i(x), j(x): a response's value in the rows or columns of a K x K table",
    "sum_t": "over the tokens of a response",
    "sum_k": "over the responses of a prompt",
    "sum_ij": "over the ordered pairs of a prompt's responses",
    "sum_j": "over the columns of a K x K table",
    "max_j": "largest of a row of a K x K table",
    "max_k": "largest over the responses of a prompt",
    "sum_b": "over the prompts of the optimizer step, all ranks",
    "log_odds": "log_odds(x) = x - log(1 - exp(x))",
    "log_softmax": "log_softmax(x) = x - log(sum_k(exp(x)))",
    "log_share": "log_share(x) = log(x / (x + swap(x))), 0 where nothing is",
    "beta": "reward.beta",
}
"""Names that a formula may use without defining them. Where a formula defines one anew, both are right."""


def symbols(formula: Formula) -> dict[str, str]:
    """The meaning of each name that this formula uses."""
    used = set(re.findall(r"[A-Za-z_]\w*", " ".join(expression for _, expression in formula.definitions)))
    return {name: meaning for name, meaning in SYMBOLS.items() if name in used}


def needs(c: Composition, arrow: OffPolicy) -> list[str]:
    """Data, models and passes without which the combination cannot run."""
    low, high = c.arity.sizes
    size = str(low) if low == high else f"{low} or more" if high is None else f"{low} to {high}"
    found = [
        f"rows with {' and '.join(sorted(arrow.needs))}, {size} response{'s' if size != '1' else ''} each",
        _reference(c, arrow),
        "samples from the policy during training" if c.sampling.samples else "no sampling during training",
    ]
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


def _reference(c: Composition, arrow: OffPolicy) -> str:
    if not c.reference.given:
        return "no reference"
    how = "its log-probabilities can be cached" if c.reference.cacheable else "it follows the policy"
    if any(statistic.needs_reference for statistic in arrow.token_statistics):
        how = "whole distributions of it are compared, so it is scored beside the policy"
    return f"a reference ({c.option('reference')}): {how}"


def notes(c: Composition, arrow: OffPolicy) -> list[str]:
    """What the formula does not say by itself."""
    deviations = c.config["algo"].get("deviations", "none")
    found = [] if deviations == "none" else [f"Deviations from the paper: {deviations}."]
    if c.objective.reads_reward:
        found += _about_the_link(c)
    if c.reward_level.per_token:
        same = "The loss is that of whole responses, its link being linear. " if c.divergence.linear else ""
        found.append(f"{same}The rewards of held-out responses' tokens are written after training.")
    if arrow.relabels:
        found.append(
            "The labels that rows came with only say which responses are compared; "
            f"who is preferred is the scorer's probability (reward={c.option('reward')})."
        )
    if c.polarity.negative_only:
        found.append("The preferred response counts as reward 0, that of any response under the reference.")
    if c.sft.merges:
        found.append("The likelihood term pulls towards the demonstrations.")
    if c.sft.parallel:
        found += c.sft.notes
    if c.label_noise.unbounded:
        found.append(
            "The opposite label has negative mass: a loss that grows without end has no lower bound where "
            "labels are separable."
        )
    return [*found, optimum(c)]


NO_OPTIMUM = "No exact optimum is claimed."


def optimum_is_known(c: Composition) -> bool:
    """Whether the loss has a known optimum on a whole population with labels as it takes them for."""
    from xpo.gold.target import has_target

    return has_target(c)


def optimum(c: Composition) -> str:
    """What that optimum is."""
    rate = c.label_noise.undone
    if not optimum_is_known(c):
        told = c.config["algo"].get("optimises")
        return f"No exact optimum is claimed. The preset as it stands: {told}." if told else NO_OPTIMUM
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
