"""What a composed run's implicit rewards are fitted to, where that is known: rho in ``xpo.gold.target``.

Notation: P(i beats j) what the labels say, u the reward that explains them (``Labels.reward_K``: the
world's own labeller has P = sigmoid(u_i - u_j) with u the true reward unless it is told otherwise), m_ij =
ref_i ref_j P_ij the masses of ``population_rows``, d_i the implicit reward of response i.

**An objective that fits log-odds** (``fits`` is "log_odds": logistic and other proper losses of d_i - d_j).
The expected loss of the unordered pair {i, j} is P_ij l(d_i - d_j) + P_ji l(d_j - d_i), whose only minimiser
is d_i - d_j = fit_scale (u_i - u_j). All pairs have mass and the right sides are differences of one function,
so all are met at once: d_i = fit_scale u_i + c(x), whatever the pair measure: ties that are left out only
take mass off pairs. Cyclic or certain labels and flips that nobody undoes are no differences of one function,
nor are ties that count half: nothing is claimed.

A loss of lists fits log-odds too where each list's loss is least at d_i - d_j = fit_scale (s_i - s_j): the
cross entropy and the KL between softmax(s) and softmax(d) (Ji et al. 2024, arXiv 2402.00856; Chen et al.
2024, arXiv 2402.05369), at reward.scale c with s / c for the scores s; and the likelihood of Plackett and
Luce for orders that are drawn from it: its expectation is the entropy of the order plus a KL, 0 at the true
rewards. Where scores are drawn (the annotator's bear noise) their softmax and their sigmoid are biased:
nothing is claimed.

**An objective that fits win rates** (``fits`` is "win_rate": (d_i - d_j - fit_scale / 2)^2, which is IPO with
fit_scale = 1 / tau). Its minimiser for one pair, fit_scale (P_ij - 1/2), is no difference of one function, so
the pair measure matters: under ref x ref, setting the derivative by d_i to zero gives d_i = fit_scale P(i
beats ref) + c(x) (Azar et al. 2023, arXiv 2310.12036, proposition 4), whatever P: turned round, cyclic, or
with ties that count half. Ties that are left out make the measure another: nothing is claimed.

**An objective that fits scores** (``fits`` is "scores": (s_i - V - d_i)^2 over responses drawn from ref, V(x)
learnt with the policy). Every square is 0 where d_i = s_i - V, and the sum of pi over the responses being 1
is met by one V, the constant -c(x); ref has mass everywhere, so that this is the only minimum. (With V held
at another value d_i = s_i - V has no policy that sums to 1: what is left is a compromise.)

Labels of win rates (``reward_form.averages``) are Bradley-Terry's of P(i beats ref) in the place of u_i.

Where demonstrations stand against the reference's samples (``feedback.contrasts``), m_ij = p_i ref_j with p
who demonstrates, and the minimiser of a proper loss is d_i - d_j = log (p_i ref_j) / (p_j ref_i): rho_i =
log p_i - log ref_i (for reverse KL at beta 1 the policy is p itself; Chen et al. 2024, arXiv 2401.01335).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from xpo.gold.labels import Labels
from xpo.gold.world import World


def fitted_reward(
    world: World, ref_logp_XN: Tensor, parts: Any, labels: Labels, drawn: bool
) -> Tensor | None:
    """rho_i: what the implicit rewards equal at the optimum, up to a constant of the prompt; None: unknown.

    ``drawn``: labels and scores are draws from ``labels``.
    """
    objective = parts.objective
    if parts.feedback.contrasts:  # P(i is the demonstration) against ref: log-odds of differences of this
        return objective.fit_scale * (world.expert_logp_XN - ref_logp_XN)
    fits = {"log_odds": _log_odds, "scores": _scores, "win_rate": _win_rate}[objective.fits]
    reward_XN = fits(_Labelled(parts, labels, ref_logp_XN, drawn))
    return None if reward_XN is None else objective.fit_scale * reward_XN


def relabels_exactly(parts: Any) -> bool:
    """Whether a scorer's labels are a known function of its scores or win probabilities.

    Flips are undone in win probabilities, not in what else is made of them. A mean over a drawn list is not
    that over the population, and an order of probabilities is not drawn.
    """
    wins, averages = parts.reward_form.reads == "wins", parts.reward_form.averages
    if parts.objective.hard_labels or (averages and parts.arity.sizes[1] is None):
        return not wins
    return parts.label_noise.undone == 0 or (wins and not averages)


class _Labelled:
    """A composition, and the labels that it is given."""

    def __init__(self, parts: Any, labels: Labels, ref_logp_XN: Tensor, drawn: bool) -> None:
        self.parts, self.labels, self.drawn = parts, labels, drawn
        self._ref_XN = ref_logp_XN.exp()
        self.halves_ties = parts.feedback.splits_ties or parts.feedback.soft_masses

    @property
    def scale(self) -> float:
        """Of a scorer's labels."""
        return self.parts.reward.scale if self.parts.reward.relabels else 1.0

    def undone(self) -> Tensor | None:
        """The labels' reward, if flips are undone at their own rate."""
        same = math.isclose(self.parts.label_noise.undone, self.labels.noise, abs_tol=1e-12)
        return self.labels.reward_K if same else None

    def rate(self, win_XNN: Tensor) -> Tensor | None:
        """The mean over whom the reference draws; unknown where pairs that tie are left out of it."""
        if self.labels.ties and not self.halves_ties:
            return None
        return (win_XNN @ self._ref_XN[:, :, None]).squeeze(-1)


def _log_odds(given: _Labelled) -> Tensor | None:
    """The reward whose differences are the log-odds that are fitted."""
    labels, parts = given.labels, given.parts
    if not parts.reward.relabels:
        return None if labels.ties and given.halves_ties else given.undone()
    if parts.objective.hard_labels:  # the order of drawn scores, whatever the scale
        return labels.reward_K if labels.noise == 0 else None
    if parts.reward_form.averages:
        rate_XN = given.rate(labels.win_KK)
        return None if rate_XN is None else rate_XN / given.scale
    if parts.reward_form.reads == "scores":
        return labels.score_K / given.scale
    if labels.ties or (labels.noise and given.scale != 1):
        return None
    reward_XN = given.undone()
    return None if reward_XN is None else reward_XN / given.scale


def _scores(given: _Labelled) -> Tensor | None:
    """The mean scores. Drawn ones that tie, or that a cycle moved, have another mean."""
    moved = given.labels.reward_K is None or given.labels.ties
    return None if given.drawn and moved else given.labels.score_K / given.scale


def _win_rate(given: _Labelled) -> Tensor | None:
    """P(i beats the reference) of the labels that are fitted, flips undone."""
    win_XNN, parts = given.labels.win_KK, given.parts
    if parts.reward.relabels and (parts.reward_form.averages or parts.reward_form.reads == "scores"):
        scored_XN = _log_odds(given)
        if scored_XN is None:
            return None
        win_XNN = torch.sigmoid(scored_XN[:, :, None] - scored_XN[:, None, :])
    elif parts.reward.relabels:
        win_XNN = torch.sigmoid(torch.logit(win_XNN) / given.scale)
    rate_XN, undone = given.rate(win_XNN), parts.label_noise.undone
    return None if rate_XN is None else (rate_XN - undone) / (1 - 2 * undone)
