"""What a composed run ends at when its data are the whole population, derived from declarations.

``xpo.gold.fitted`` has what the implicit rewards d_i of responses equal at the optimum: rho_i + c(x), where

    d_i = beta f'(pool(log pi_i - log ref_i)) + offset_i.

With pool(log-ratio) = k_i times its sum (k = 1, or 1 / length):

    log pi_i = log ref_i + (f')^-1((rho_i + c - offset_i) / beta) / k_i,

c(x) by the sum of pi over the responses being 1. For k = 1 and a reference this is the maximiser of
E[rho - offset] - beta D_f; for reverse KL, k_i = 1/length_i and no reference pi_i is proportional to
exp(length_i (rho_i / beta + c)). A loss that is of this kind only where |d_i - d_j| stays below a
``fit_limit``, and flat or less steep beyond (clipped, truncated), has the same minimiser if all |rho_i -
rho_j| stay below it; else none is claimed. Everything else (a margin, a likelihood term, negative data only,
a bent link per token, other objectives) has another optimum, and no target is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Divergence
from xpo.gold.constrained import OPTIMA, Problem
from xpo.gold.fitted import fitted_reward, relabels_exactly
from xpo.gold.game import Game
from xpo.gold.game_metrics import beats, regularised_nash
from xpo.gold.labels import PLAIN, Labels
from xpo.gold.reinforced import reinforced, self_play
from xpo.gold.world import World

BOUND = 80.0
"""Nats: no response of an enumerable world is e^80 times likelier than under the reference."""
HALVINGS = 60
"""160 nats / 2^60 is below the precision of float64."""


@dataclass(frozen=True)
class Target:
    """The exact optimum of a run, and the functional that it maximises where there is one.

    ``divergence`` is None where pi* maximises no E[reward] - beta D_f(pi || ref): then only the
    distance to it means something, no share of a gap.
    """

    logp_XN: Tensor
    reward_XN: Tensor
    beta: float
    divergence: Divergence | None

    def value(self, logp_XN: Tensor, ref_logp_XN: Tensor) -> float:
        """J(pi) = E[reward] - beta D_f(pi || ref), averaged over prompts. Raises where there is no J."""
        if self.divergence is None:
            raise ValueError("this target maximises no E[reward] - beta D_f")
        penalty = exact_divergence(self.divergence, logp_XN, ref_logp_XN)
        return expectation(logp_XN, self.reward_XN) - self.beta * penalty


def population_target(
    world: World, ref_logp_XN: Tensor, parts: Any, labels: Labels | None = None, drawn: bool = False
) -> Target | None:
    """The optimum of a composition (anything with the groups as attributes); None where none is claimed.

    ``labels`` of every response; Bradley and Terry's of the true reward unless given. ``drawn``: labels and
    scores are draws, not their expectations.
    """
    if parts.objective.policy_gradient:
        return _reinforced(world, ref_logp_XN, parts, labels)
    if not has_target(parts, drawn):
        return None
    labels = PLAIN.of_world(world, ref_logp_XN) if labels is None else labels
    reward_XN = fitted_reward(world, ref_logp_XN, parts, labels, drawn)
    if reward_XN is None or float((reward_XN.amax(1) - reward_XN.amin(1)).max()) >= parts.objective.fit_limit:
        return None
    fitted_XN = reward_XN - _offset_N(world, parts)
    if _adds_up(parts):
        fitted_XN = parts.schedule.rounds * fitted_XN
    beta, divergence = parts.reward.beta, parts.divergence
    given, averages = parts.reference.given, parts.length.averages
    if given and not averages and divergence.regularises:
        return Target(divergence.optimum(ref_logp_XN, fitted_XN, beta), fitted_XN, beta, divergence)
    start_XN = ref_logp_XN if given else torch.zeros_like(ref_logp_XN)
    scale_N = 1.0 / world.length_N.double() if averages else torch.ones(world.size, dtype=torch.float64)
    return Target(fitted_policy(divergence, start_XN, fitted_XN / beta, scale_N), fitted_XN, beta, None)


def _reinforced(world: World, ref_logp_XN: Tensor, parts: Any, labels: Labels | None) -> Target | None:
    labels = PLAIN.of_world(world, ref_logp_XN) if labels is None else labels
    tau = self_play(parts)
    if isinstance(world, Game) and tau is not None:
        return _self_played(world, ref_logp_XN, labels, tau)
    reward_XN = reinforced(parts, labels, ref_logp_XN)
    if reward_XN is None:
        return None
    reward_XN = reward_XN - _offset_N(world, parts)
    beta, divergence = parts.reward.beta, parts.divergence
    if not parts.constraint.applies:
        return Target(divergence.optimum(ref_logp_XN, reward_XN, beta), reward_XN, beta, divergence)
    if not divergence.linear:
        return None
    problem = Problem(ref_logp_XN, reward_XN, world.cost_XN, beta, parts.constraint.limit)
    return Target(OPTIMA[parts.constraint.form](problem).logp_XN, reward_XN, beta, None)


def _self_played(world: Game, ref_logp_XN: Tensor, labels: Labels, tau: float) -> Target:
    """Responses of one first symbol win alike, so that the reference decides between them."""
    alike_NA = torch.nn.functional.one_hot(torch.tensor([y[0] for y in world.responses])).double()
    first_XA = torch.log(ref_logp_XN.double().exp() @ alike_NA)
    win_XAA = labels.win_KK[:, : world.symbols, : world.symbols]  # responses of one symbol come first
    nash_XA = regularised_nash(win_XAA, first_XA, tau)
    logp_XN = ref_logp_XN + (nash_XA - first_XA) @ alike_NA.T
    return Target(logp_XN, beats(labels.win_KK, logp_XN), tau, None)


def has_target(parts: Any, drawn: bool = False) -> bool:
    """Whether the loss reads nothing but the rewards d_i above (``drawn`` labels), whatever labels say."""
    return bool(
        parts.objective.fits
        and (parts.objective.fits == "log_odds" or not parts.sampling.samples)
        and parts.label_noise.undone is not None
        and not (drawn and parts.reward.relabels and not parts.objective.hard_labels)
        and not (parts.reward.relabels and not relabels_exactly(parts))
        and not parts.margin.applies
        and (not parts.weighting.applies or _weighs_pairs(parts))
        and not parts.anchor.applies
        and not parts.polarity.negative_only
        and not parts.sft.merges
        and not parts.sft.parallel
        and (parts.divergence.linear or not parts.reward_level.per_token)
        and not parts.length.several
        and parts.reward_level.ends
        and not (parts.feedback.contrasts and not _contrasts_exactly(parts))
        and (parts.reference.cacheable or not parts.reference.given or _adds_up(parts))
    )


def _adds_up(parts: Any) -> bool:
    """Whether each round starts from, and is held by, what the one before it came to: rewards add up.

    Not where what is fitted is about the policy of the round: win rates against it, contrasts with it.
    """
    return bool(
        parts.reference.by_rounds
        and parts.schedule.rounds > 1
        and parts.divergence.linear
        and parts.divergence.regularises
        and parts.objective.fits == "log_odds"
        and not parts.reward_form.averages
        and not parts.feedback.contrasts
        and not parts.length.averages
    )


def _contrasts_exactly(parts: Any) -> bool:
    """Nobody labels, so that there is no flip to undo."""
    return parts.objective.fits == "log_odds" and parts.label_noise.undone == 0


def _weighs_pairs(parts: Any) -> bool:
    """Whether weights are factors w_ij = w_ji > 0 of comparisons: each pair's minimiser stays what it is."""
    return parts.weighting.symmetric and parts.objective.fits == "log_odds"


def _offset_N(world: World, parts: Any) -> Tensor:
    at_T = torch.arange(int(world.length_N.max()))
    mask_1NT = (at_T < world.length_N[:, None])[None]
    return parts.length.offset(mask_1NT)[0].double()


def expectation(logp_XN: Tensor, values_XN: Tensor) -> float:
    """E_pi[values], averaged over prompts."""
    return float((logp_XN.exp() * values_XN).sum(-1).mean())


def exact_divergence(divergence: Divergence, logp_XN: Tensor, ref_logp_XN: Tensor) -> float:
    """D_f(pi || ref), averaged over prompts."""
    return float(divergence.exact(logp_XN, ref_logp_XN).mean())


def kl(logp_XN: Tensor, other_logp_XN: Tensor) -> float:
    """KL(pi || other), averaged over prompts."""
    return expectation(logp_XN, logp_XN - other_logp_XN)


def fitted_policy(
    divergence: Divergence, start_logp_XN: Tensor, scaled_XN: Tensor, scale_N: Tensor
) -> Tensor:
    """log pi_i = start_i + (f')^-1(scaled_i + c) / scale_i, float64, with c(x) such that pi sums to 1.

    ``start`` is log ref, or zeros without a reference. The sum is increasing in c, and c is bisected as the
    log-ratio of the response with the largest ``scaled``, whose range is known.
    """
    top_X1 = scaled_XN.max(1, keepdim=True).values

    def policy(ratio_X1: Tensor) -> Tensor:
        return (
            start_logp_XN + invert_link(divergence, scaled_XN - top_X1 + divergence.link(ratio_X1)) / scale_N
        )

    low_X1, high_X1 = torch.full_like(top_X1, -BOUND), torch.full_like(top_X1, BOUND)
    for _ in range(HALVINGS):
        middle_X1 = (low_X1 + high_X1) / 2
        below_X1 = policy(middle_X1).logsumexp(1, keepdim=True) < 0
        low_X1, high_X1 = torch.where(below_X1, middle_X1, low_X1), torch.where(below_X1, high_X1, middle_X1)
    return torch.log_softmax(policy((low_X1 + high_X1) / 2), dim=1)


def invert_link(divergence: Divergence, value: Tensor) -> Tensor:
    """log u with link(log u) = value, by bisection; +-``BOUND`` where the range of f' ends."""
    low, high = torch.full_like(value, -BOUND), torch.full_like(value, BOUND)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = divergence.link(middle) < value
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
