"""What a policy gradient ends at in the gold world.

On scores: pi* of E[what samples are worth] - beta D_f. On win probabilities in a game, with reverse KL: where
the policy is its own best answer, pi = ref exp(P(y > pi) / tau) / Z, the Nash policy of the game that is
regularised by tau KL(pi || ref) for each player (Munos et al. 2023, arXiv 2312.00886, section 5).
"""

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
    if not is_exact(parts) or _moved(parts, labels):
        return None
    return parts.reward.score(labels.score_K)


def _moved(parts: Any, labels: Labels) -> bool:
    """Whether drawn scores of two have another mean: the labeller moved them apart, or let them tie."""
    model = parts.annotator.label_model
    exact = model is None or model.exact
    return parts.sampling.responses == 2 and not exact and bool(labels.reward_K is None or labels.ties)


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


def temperature(parts: Any) -> float | None:
    """tau of the regularised game that a policy gradient plays; None where it plays none.

    Rewards P(y > pi) / scale with the penalty beta have tau = beta scale. Where a prompt's K samples are
    judged against each other, and their baseline is of them too, a sample that wins lowers what the others
    have: its advantage holds K / (K - 1) times its win rate beside its penalty, so that tau is (K - 1) / K
    of that.
    """
    penalty, sampling = parts.penalty, parts.sampling
    plays = (
        parts.objective.policy_gradient
        and parts.reward_form.reads == "wins"
        and parts.feedback.on_policy == "scores"
        and parts.divergence.linear
        and penalty.in_reward
        and penalty.target is None
    )
    if not plays or parts.reward.clip is not None:
        return None
    size = sampling.responses
    among = (size - 1) / size if parts.advantage.several and not sampling.rivals else 1.0
    return parts.reward.beta * parts.reward.scale * among


def self_play(parts: Any) -> float | None:
    """The same, where the regularised Nash policy is what the run ends at; None where that is not known.

    A rival that is mixed with the reference is another opponent than the policy. Dividing by the deviation of
    samples that are judged against each other moves the zero.
    """
    others = parts.sampling.mix or parts.advantage.divides
    if others or parts.constraint.applies or parts.length.has_offset:
        return None
    return temperature(parts) if _penalty_is_exact(parts) and _gradient_is_exact(parts) else None
