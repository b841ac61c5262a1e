"""How a policy gradient's advantages are made of what samples are worth, as definitions.

They are evaluated on a whole rollout, without gradient, before any of it is trained on. Beside what
``xpo.explain.formula`` says:

- ``to_go(x)`` and ``to_go(x, d)`` sum x from a token to its response's end, d each token (1); ``ahead(x, v,
  n)`` and ``ahead(x, v, n, d)`` sum n tokens of x and take v after them; ``every_t(x)`` puts a value per
  response at each of its tokens; ``whiten(x)`` has mean 0 and variance 1 over the tokens of the rollout.
- ``mean_k(x)``, ``std_k(x)`` (squares over n - 1), ``population_std_k(x)`` (over n) are of a prompt's
  samples, ``others_k(x)`` is the mean of the others; ``f_over_u(x)`` is f(u) / u, log u = x.
- given: ``old_logp``, ``ref_logp``, ``old_value``, ``old_cost_value``, ``part_score`` (0 where no part ends)
  per token, ``score`` and ``cost`` per response, ``multiplier`` and ``penalty_scale`` of the rollout.
"""

from __future__ import annotations

from dataclasses import dataclass

from xpo.on_policy.arrow import OnPolicy

Definition = tuple[str, str]


@dataclass(frozen=True)
class _Stream:
    """Names of one stream of rewards, or of costs, what a scorer says of it, and the penalty's sign."""

    reward: str
    own: str
    value: str
    advantage: str
    earned: str
    sign: str


def credit(c: OnPolicy) -> tuple[Definition, ...]:
    """Definitions in the order in which they are evaluated, the last one being ``advantage``."""
    signs = c.constraint.signs
    reward = _Stream("token_reward", "own", "old_value", "reward_advantage", _earned(c), signs[0])
    found, made = _stream(c, reward)
    found = _ratio(c) + found
    if not c.constraint.applies:
        return (*found, ("advantage", _sided(c, c.advantage.scaled_text(made, reward.reward))))
    cost = _Stream("token_cost", "cost_own", "old_cost_value", "cost_advantage", "last_t(cost)", signs[1])
    beside, cost_made = _stream(c, cost)
    mixed = c.constraint.text(reward.advantage, cost.advantage)
    earned = c.constraint.text(reward.reward, cost.reward)
    return (
        *found,
        (reward.advantage, made),
        *beside,
        (cost.advantage, cost_made),
        ("advantage", _sided(c, c.advantage.scaled_text(mixed, earned))),
    )


def _ratio(c: OnPolicy) -> list[Definition]:
    return [("log_ratio", "old_logp - ref_logp")] if c.penalty.in_reward else []


def _earned(c: OnPolicy) -> str:
    price = f" - {c.length.offset_text()}" if c.length.has_offset else ""
    if not c.reward_level.of_parts:
        return f"last_t({c.reward.sample_text('score')}{price})"
    return c.reward.sample_text("part_score") + (f" - last_t({price.removeprefix(' - ')})" if price else "")


def _stream(c: OnPolicy, names: _Stream) -> tuple[list[Definition], str]:
    """Definitions of a stream's rewards, and its advantages before they are scaled."""
    price, own = _penalty(c) if names.sign else ("", "")
    found = [(names.reward, names.earned + (f" {names.sign} {price}" if price else ""))]
    made = c.advantage.text(names.reward, names.value)
    if own:
        found.append((names.own, f"{names.sign}{own}".removeprefix("+")))
        made += f" + {c.advantage.own_text(names.own)}"
    return found, made


def _penalty(c: OnPolicy) -> Definition:
    """The price of the divergence, and of single tokens; empty where there is none."""
    if not c.penalty.in_reward:
        return "", ""
    beta = f"penalty_scale * {c.reward.beta!r}" if c.penalty.adapts else repr(c.reward.beta)
    price, own = (text and f"{beta} * ({text})" for text in c.penalty.terms_text(c.divergence))
    return price, own


def _sided(c: OnPolicy, advantage: str) -> str:
    return f"minimum({advantage}, 0)" if c.polarity.negative_only else advantage
