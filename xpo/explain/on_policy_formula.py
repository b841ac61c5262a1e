"""What a policy gradient trains on a rollout whose advantages are known, as definitions.

Given beside what ``xpo.explain.formula`` says: ``old_logp``, ``advantage``, ``old_value``, ``returns``
(of tokens, without gradient), ``entropy`` of the next token, ``value`` of the critic.
"""

from __future__ import annotations

from xpo.explain.formula import Formula
from xpo.on_policy.arrow import OnPolicy


def on_policy_formula(c: OnPolicy) -> Formula:
    """The loss of one optimizer step."""
    total = "scored_tokens" if c.reduce.per_token else c.reduce.text()
    found = [("log_ratio", "logp - ref_logp")] if c.penalty.in_loss else []
    found.append(("token_loss", _token_loss(c)))
    found.append(("response_loss", c.reduce.of_tokens_text("token_loss")))
    found.append(("row_loss", "sum_k(share * response_loss)"))
    loss = f"sum_b(weight * row_loss) / {total}"
    if c.sft.merges:
        likelihood, below = c.sft.term_text()
        loss = f"{c.sft.preference_weight!r} * {loss}"
        found.append(("nll", likelihood))
        loss += f" + {c.sft.weight!r} * sum_b(weight * nll) / {below}"
    if c.critic.fits_returns:
        found.append(("value_loss", c.critic.text()))
        loss += f" + {c.critic.weight!r} * sum_b(weight * sum_k(share * sum_t(value_loss))) / scored_tokens"
    return Formula((*found, ("loss", loss)), _latex(c))


def _token_loss(c: OnPolicy) -> str:
    text = c.policy_loss.text()
    if c.penalty.in_loss:
        text += f" + {c.reward.beta!r} * ({c.penalty.text(c.divergence.text)})"
    if c.objective.entropy:
        text += f" - {c.objective.entropy!r} * entropy"
    return text


def _latex(c: OnPolicy) -> str:
    gradient = r"\nabla J = \mathbb{E}_{y \sim \pi_\theta}\left[\sum_t A_t \nabla \log\pi_\theta(y_t \mid x, y_{<t})\right]"
    if not c.penalty.applies:
        return gradient
    where = "in the reward" if c.penalty.in_reward else "in the loss"
    return rf"{gradient},\quad J = \mathbb{{E}}[r] - {c.reward.beta}\, D(\pi_\theta \Vert \pi_\mathrm{{ref}})\ \text{{{where}}}"
