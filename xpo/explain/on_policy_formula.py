"""What a policy gradient trains on a rollout whose advantages are known, as definitions.

Given beside what ``xpo.explain.formula`` says: ``old_logp``, ``advantage``, ``old_value``, ``returns`` (of
tokens, without gradient), ``sampler_logp``, ``entropy`` of the next token, ``value`` of the critic, the same
with ``cost`` of a second one. ``sum_d(x)`` is over the demonstrations that come with the optimizer step, of
which ``demonstrated_rows``, ``tokens`` and ``prompt_tokens`` are the totals. Advantages: xpo.explain.credit.
"""

from __future__ import annotations

from xpo.explain.formula import Formula
from xpo.on_policy.arrow import OnPolicy


def on_policy_formula(c: OnPolicy) -> Formula:
    """The loss of one optimizer step."""
    total = "scored_tokens" if c.reduce.per_token else c.reduce.text()
    found = [*c.policy_loss.definitions]
    if c.penalty.in_loss:
        found.append(("log_ratio", "logp - ref_logp"))
    found.append(("token_loss", _token_loss(c)))
    found.append(("response_loss", c.reduce.of_tokens_text("token_loss")))
    found.append(("row_loss", "sum_k(share * response_loss)"))
    loss = f"sum_b(weight * row_loss) / {total}"
    if c.sft.merges:
        likelihood, below = c.sft.term_text()
        below = "demonstrated_rows" if below == "rows" else below
        loss = f"{c.sft.preference_weight!r} * {loss} + {c.sft.weight!r} * sum_d(weight * nll) / {below}"
        found.append(("nll", likelihood))
    for name, text in _critics(c):
        found.append((name, text))
        loss += f" + {c.critic.weight!r} * sum_b(weight * sum_k(share * sum_t({name}))) / scored_tokens"
    return Formula((*found, ("loss", loss)), _latex(c))


def _token_loss(c: OnPolicy) -> str:
    text = c.policy_loss.text()
    if c.objective.truncation is not None:
        drawn = f"minimum(exp(old_logp - sampler_logp), {c.objective.truncation!r})"
        text = f"{drawn} * ({text})"
    if c.penalty.in_loss:
        weight = c.constraint.weight_text()
        scale = repr(c.reward.beta) if not weight else f"{c.reward.beta!r} * ({weight})"
        text += f" + {scale} * ({c.penalty.text(c.divergence)})"
    if c.objective.entropy:
        text += f" - {c.objective.entropy!r} * entropy"
    return text


def _critics(c: OnPolicy) -> list[tuple[str, str]]:
    """The losses of a token of what learns rewards, and costs."""
    if not c.critic.fits_returns:
        return []
    sides = ("", "cost_") if c.critic.costs else ("",)
    return [(f"{side}value_loss", c.critic.text(side)) for side in sides]


def _latex(c: OnPolicy) -> str:
    """The token's loss under the step's mean, and what it is made of."""
    each = r"\ell_t" + _latex_penalty(c) + (rf" - {c.objective.entropy} H_t" if c.objective.entropy else "")
    weight = "" if c.sft.preference_weight == 1 else f"{c.sft.preference_weight}\\, "
    tokens = c.reduce.of_tokens_latex(_bracketed(each))
    mean = rf"\mathbb{{E}}_{{y \sim \pi_\mathrm{{old}}}}\left[{tokens}\right]"
    likelihood = f" + {c.sft.term_latex()}" if c.sft.merges else ""
    critic = rf" + {c.critic.weight}\, \mathbb{{E}}\left[\ell^V_t\right]" if c.critic.fits_returns else ""
    lines = [rf"\mathcal{{L}} = {weight}{mean}{likelihood}{critic}", rf"\ell_t = {c.policy_loss.latex()}"]
    lines.append(rf"A_t \text{{ of }} {_latex_aim(c)}")
    return ",\\quad\n".join(lines)


def _latex_aim(c: OnPolicy) -> str:
    aim = r"\mathbb{E}[r]"
    if c.length.has_offset:
        aim += rf" - \mathbb{{E}}[{c.length.offset_latex()}]"
    if c.penalty.in_reward:
        aim += rf" - {c.reward.beta}\, D(\pi_\theta \Vert \pi_\mathrm{{ref}})"
    return aim + (r",\ \mathbb{E}[c] \le d" if c.constraint.applies else "")


def _latex_penalty(c: OnPolicy) -> str:
    if not c.penalty.in_loss:
        return ""
    return rf" + {c.reward.beta}\, \hat{{D}}_t(\pi_\theta \Vert \pi_\mathrm{{ref}})"


def _bracketed(x: str) -> str:
    return x if x == r"\ell_t" else rf"\left({x}\right)"
