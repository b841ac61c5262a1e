"""What a policy gradient ends at in the gold world: pi* of E[what samples are worth] - beta D_f."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xpo.gold.labels import Labels


def reinforced(parts: Any, labels: Labels, ref_logp_XN: Tensor) -> Tensor | None:
    """What the labeller's scores come to as a reward; None where no optimum is claimed.

    The divergence must act in the reward, where its gradient is that of D_f of whole responses: the response
    form for any f, the form of tokens for reverse KL, whose sum over tokens it is. In the loss a token's
    term leaves out what the token does to later states. Standardising within a prompt's samples scales that
    prompt's whole gradient and leaves its zero where it is; discounting, an entropy bonus, half of the
    advantages, win rates against the policy itself, a reference that moves, another sampler or a policy that
    is sampled at another temperature move it.
    """
    return parts.reward.score(labels.score_K) if is_exact(parts) else None


def is_exact(parts: Any) -> bool:
    """Whether an optimum is claimed, whatever the scores are."""
    return _penalty_is_exact(parts) and _gradient_is_exact(parts) and _worth_is_known(parts)


def _penalty_is_exact(parts: Any) -> bool:
    penalty = parts.penalty
    return bool(
        penalty.in_reward
        and penalty.target is None
        and (parts.divergence.linear or not penalty.per_token)
        and parts.reference.given
        and parts.reference.cacheable
    )


def _gradient_is_exact(parts: Any) -> bool:
    return bool(
        parts.advantage.undiscounted
        and not parts.polarity.negative_only
        and not parts.objective.entropy
        and not parts.sft.merges
        and not parts.length.averages
        and parts.sampling.by_policy
        and parts.sampling.draw.whole
        and parts.sampling.draw.temperature == 1
    )


def _worth_is_known(parts: Any) -> bool:
    return bool(parts.feedback.on_policy == "scores" and parts.reward_form.reads == "scores")
