"""How well a reward or preference model knows the gold world: exact sums over every pair of responses.

X prompts, N responses. ``log_odds_XNN`` is what a model says of i over j (antisymmetric), ``labels`` what the
labeller says, ``ref_logp_XN`` who the responses are drawn from. Pairs are two independent draws that are not
the same response, as often as the labeller decides between them (ties are no labels). All numbers are
averaged over prompts, in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xpo.gold.labels import Labels


def of_scores(score_XN: Tensor) -> Tensor:
    """The log-odds of Bradley and Terry: differences of scores."""
    return score_XN[:, :, None] - score_XN[:, None, :]


def pointwise_metrics(
    score_XN: Tensor, reward_XN: Tensor, labels: Labels, ref_logp_XN: Tensor
) -> dict[str, float]:
    """``pair_metrics`` of score differences, and ``gold/spearman`` and ``gold/pearson`` with the true reward.

    Both are of a prompt's responses, each once; equal values have the mean of their ranks.
    """
    score_XN = score_XN.double()
    return pair_metrics(of_scores(score_XN), labels, ref_logp_XN) | {
        "gold/spearman": correlation(ranks(score_XN), ranks(reward_XN.double())),
        "gold/pearson": correlation(score_XN, reward_XN.double()),
    }


def pairwise_metrics(
    log_odds_XNN: Tensor, reward_XN: Tensor, labels: Labels, ref_logp_XN: Tensor
) -> dict[str, float]:
    """``pair_metrics``, correlations as above for the mean log-odds against the reference, and cycles.

    ``gold/intransitive_triads``: how much of the mass of three different responses i, j, k has i over j, j
    over k and k over i by the model; ``.../world``: by the labeller. ``.../found``: which part of the world's
    the model has too, the same way round (only where there is one).
    """
    log_odds_XNN, ref_XN = log_odds_XNN.double(), _probabilities(ref_logp_XN)
    score_XN = (log_odds_XNN * ref_XN[:, None, :]).sum(-1)
    over, truly = _over(log_odds_XNN), _over(labels.decided_KK - 0.5)
    world, shared = cyclic(truly, ref_XN), cyclic(over * truly, ref_XN)
    found = {
        **pair_metrics(log_odds_XNN, labels, ref_logp_XN),
        "gold/spearman": correlation(ranks(score_XN), ranks(reward_XN.double())),
        "gold/pearson": correlation(score_XN, reward_XN.double()),
        "gold/intransitive_triads": cyclic(over, ref_XN),
        "gold/intransitive_triads/world": world,
    }
    return found | ({"gold/intransitive_triads/found": shared / world} if world else {})


def pair_metrics(log_odds_XNN: Tensor, labels: Labels, ref_logp_XN: Tensor) -> dict[str, float]:
    """``gold/pair_accuracy``: how often a fresh label is what the model says (half where it says neither).

    ``gold/bayes_accuracy`` is that of who knows the labels' probabilities, ``gold/pair_accuracy_gap`` what
    the model lacks of it. ``gold/log_loss``: the mean of -log sigmoid(log-odds of the preferred one), in
    nats, and ``gold/bayes_log_loss`` its least value, the labels' entropy.
    """
    log_odds_XNN, win_XNN = log_odds_XNN.double(), labels.decided_KK
    mass_XNN = pair_mass(_probabilities(ref_logp_XN), labels.tie_KK)
    accuracy, bayes = _mean(mass_XNN, _agreement(log_odds_XNN, win_XNN)), _mean(mass_XNN, _best(win_XNN))
    nll_XNN = -torch.nn.functional.logsigmoid(log_odds_XNN)
    return {
        "gold/pair_accuracy": accuracy,
        "gold/bayes_accuracy": bayes,
        "gold/pair_accuracy_gap": bayes - accuracy,
        "gold/log_loss": _mean(mass_XNN, 2 * win_XNN * nll_XNN),  # (i, j) and (j, i) are one pair
        "gold/bayes_log_loss": _mean(mass_XNN, -2 * torch.xlogy(win_XNN, win_XNN)),
    }


def pair_mass(ref_XN: Tensor, tie_XNN: Tensor) -> Tensor:
    """ref x ref of decided pairs off the diagonal; sums to 1 over the ordered pairs of a prompt."""
    others_NN = 1 - torch.eye(ref_XN.shape[1], dtype=ref_XN.dtype)
    mass_XNN = ref_XN[:, :, None] * ref_XN[:, None, :] * others_NN * (1 - tie_XNN)
    return mass_XNN / mass_XNN.sum((1, 2), keepdim=True)


def _probabilities(logp_XN: Tensor) -> Tensor:
    return logp_XN.double().exp()


def _agreement(log_odds_XNN: Tensor, win_XNN: Tensor) -> Tensor:
    """How often the labeller says what the model says of a pair."""
    said_XNN = (log_odds_XNN.sign() + 1) / 2
    return said_XNN * win_XNN + (1 - said_XNN) * win_XNN.mT


def _best(win_XNN: Tensor) -> Tensor:
    return torch.maximum(win_XNN, win_XNN.mT)


def _mean(mass_XNN: Tensor, value_XNN: Tensor) -> float:
    return float((mass_XNN * value_XNN).sum((1, 2)).mean())


def ranks(value_XN: Tensor) -> Tensor:
    """1 for the least; equal values share the mean of their ranks."""
    below_XN = (value_XN[:, None, :] < value_XN[:, :, None]).sum(-1)
    equal_XN = (value_XN[:, None, :] == value_XN[:, :, None]).sum(-1)
    return below_XN + (equal_XN + 1) / 2.0


def correlation(one_XN: Tensor, other_XN: Tensor) -> float:
    """Pearson's within prompts, averaged over prompts; 0 for a prompt whose values are all equal."""
    one_XN, other_XN = one_XN.double(), other_XN.double()
    one_XN, other_XN = (v - v.mean(1, keepdim=True) for v in (one_XN, other_XN))
    scale_X = (one_XN.square().sum(1) * other_XN.square().sum(1)).sqrt()
    both_X = (one_XN * other_XN).sum(1)
    return float(torch.where(scale_X > 0, both_X / scale_X, 0.0).mean())


def _over(log_odds_XNN: Tensor) -> Tensor:
    """1 where i is over j."""
    return (log_odds_XNN > 0).double()


def cyclic(over_XNN: Tensor, ref_XN: Tensor) -> float:
    """The share of the mass of three different responses in which each is over one of the other two."""
    reached_XNN = over_XNN * ref_XN[:, None, :]
    closed_X = (reached_XNN @ reached_XNN @ reached_XNN).diagonal(dim1=1, dim2=2).sum(1)  # each cycle 3 times
    one_X, two_X, three_X = (ref_XN.pow(power).sum(1) for power in (1, 2, 3))
    all_X = (one_X.pow(3) - 3 * one_X * two_X + 2 * three_X) / 6  # of triples, by Newton's identity
    return float((closed_X / 3 / all_X).mean())
