"""Metrics of one micro-batch of rewards and log-probabilities, before they are reduced.

Every metric is a mean over masses: ``chosen_BK`` is the mass with which a response was preferred (or
called good, or demonstrated), ``rejected_BK`` that with which it was dispreferred (or called bad). So
pairs, soft labels, lists, binary rows and the gold world's population have one definition each. Names
under ``rewards/`` and ``logps/`` are TRL's; ``common/`` is free of beta, of the length rule and of the
divergence, and therefore comparable between methods. Everything in nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.run.metrics import Ratio

_CLAMP = 20.0  # of a token's log-ratio, before it is exponentiated


@dataclass(frozen=True)
class Pairs:
    """``mass_BKK``: of "i preferred over j" within a prompt, row weights included; its sums over j and i."""

    mass_BKK: Tensor
    above_BK: Tensor
    below_BK: Tensor

    @staticmethod
    def of(mass_BKK: Tensor) -> Pairs:
        return Pairs(mass_BKK, mass_BKK.sum(2), mass_BKK.sum(1))


@torch.no_grad()
def preference_metrics(
    reward_BK: Tensor | None,
    logp_BKT: Tensor | None,
    ref_logp_BKT: Tensor | None,
    batch: Batch,
    log_odds_BKK: Tensor | None = None,
) -> dict[str, Ratio]:
    """Numerators and denominators of ``rewards/``, ``logps/`` and ``common/``.

    ``reward_BK`` is what the objective ate (None for a likelihood alone), ``ref_logp_BKT`` None where
    the run has no reference: the log-ratio and KL metrics are then absent, not computed against zeros.
    ``logp_BKT`` is None where no token is predicted. ``log_odds_BKK`` is of a model of pairs: its sign is
    then what is right or wrong.
    """
    pairs = comparisons(batch)
    sides = response_masses(batch, pairs)
    result: dict[str, Ratio] = {}
    length_BK = batch.length_BK.float()
    for side, mass_BK in sides.items():
        if reward_BK is not None:
            result[f"rewards/{side}"] = _mean(mass_BK, reward_BK)
        result[f"common/length_{side}"] = _mean(mass_BK, length_BK)
    if pairs is not None and reward_BK is not None:
        result["rewards/margins"] = _margin(pairs, reward_BK)
        result["rewards/accuracies"] = _accuracy(pairs, reward_BK, log_odds_BKK)
    if logp_BKT is None:
        return result
    mask = batch.mask_BKT
    logp_BK = masked(logp_BKT.float(), mask).sum(-1)
    for side, mass_BK in sides.items():
        result[f"logps/{side}"] = _mean(mass_BK, logp_BK)
        result[f"common/logp_per_token_{side}"] = _ratio(mass_BK, logp_BK, length_BK)
    if pairs is not None:
        result["common/logp_accuracy"] = _accuracy(pairs, logp_BK)
        result["common/mean_logp_accuracy"] = _accuracy(pairs, logp_BK / length_BK.clamp(min=1))
    if ref_logp_BKT is not None:
        log_ratio_BKT = masked(logp_BKT.float() - ref_logp_BKT.float(), mask)
        result |= _against_reference(log_ratio_BKT, sides, pairs, mask)
    return result


def comparisons(batch: Batch) -> Pairs | None:
    """The comparisons within prompts; None where no row can hold one.

    From binary labels: every good response of a prompt against every bad one of the same prompt.
    """
    weight_B11 = batch.weight_B[:, None, None]
    if batch.prefer_BKK is not None:
        return Pairs.of(weight_B11 * batch.prefer_BKK)
    if batch.good_BK is None or batch.bad_BK is None or batch.good_BK.shape[1] < 2:
        return None
    cross_BKK = batch.good_BK.unsqueeze(2) * batch.bad_BK.unsqueeze(1)
    return Pairs.of(weight_B11 * (cross_BKK - torch.diag_embed(cross_BKK.diagonal(dim1=1, dim2=2))))


def response_masses(batch: Batch, pairs: Pairs | None) -> Mapping[str, Tensor]:
    """``chosen`` and ``rejected``: how much of each response is on each side, row weights included."""
    if batch.prefer_BKK is not None and pairs is not None:
        return {"chosen": pairs.above_BK, "rejected": pairs.below_BK}
    labelled = {"chosen": batch.good_BK, "rejected": batch.bad_BK}
    if batch.good_BK is None and batch.bad_BK is None:
        labelled = {"chosen": batch.demo_BK}
    weight_B1 = batch.weight_B.unsqueeze(1)
    return {side: weight_B1 * mass_BK for side, mass_BK in labelled.items() if mass_BK is not None}


def _against_reference(
    log_ratio_BKT: Tensor, sides: Mapping[str, Tensor], pairs: Pairs | None, mask_BKT: Tensor
) -> dict[str, Ratio]:
    log_ratio_BK = log_ratio_BKT.sum(-1)
    result = {f"common/log_ratio_{side}": _mean(mass_BK, log_ratio_BK) for side, mass_BK in sides.items()}
    if pairs is not None:
        result["common/log_ratio_margin"] = _margin(pairs, log_ratio_BK)
        result["common/log_ratio_accuracy"] = _accuracy(pairs, log_ratio_BK)
    if not sides:
        return result
    mass_BK = torch.stack(list(sides.values())).sum(0)
    tokens_BK = mask_BKT.sum(-1).to(log_ratio_BKT.dtype)
    clamped = log_ratio_BKT.clamp(-_CLAMP, _CLAMP)
    # per token u log u - u + 1 and u - 1 - log u: non-negative, and unbiased where ref drew the token
    towards_BK = (clamped.exp() * clamped - torch.expm1(clamped)).sum(-1)
    away_BK = (torch.expm1(clamped) - clamped).sum(-1)
    result["common/kl_policy_ref"] = _ratio(mass_BK, towards_BK, tokens_BK)
    result["common/kl_ref_policy"] = _ratio(mass_BK, away_BK, tokens_BK)
    return result


def _mean(mass_BK: Tensor, values_BK: Tensor) -> Ratio:
    return (mass_BK * _where_any(mass_BK, values_BK)).sum(), mass_BK.sum()


def _ratio(mass_BK: Tensor, above_BK: Tensor, below_BK: Tensor) -> Ratio:
    return _mean(mass_BK, above_BK)[0], _mean(mass_BK, below_BK)[0]


def _margin(pairs: Pairs, values_BK: Tensor) -> Ratio:
    above, total = _mean(pairs.above_BK, values_BK)
    below, _ = _mean(pairs.below_BK, values_BK)
    return above - below, total


def _accuracy(pairs: Pairs, values_BK: Tensor, gap_BKK: Tensor | None = None) -> Ratio:
    # the share of mass that is ordered rightly, a tie counting half: (1 + E sign(v_i - v_j)) / 2
    values = _where_any(pairs.above_BK + pairs.below_BK, values_BK)
    sign_BKK = torch.sign(values.unsqueeze(2) - values.unsqueeze(1) if gap_BKK is None else gap_BKK)
    sign_BKK = sign_BKK.to(pairs.mass_BKK.dtype)
    total = pairs.above_BK.sum()
    return 0.5 * (total + torch.linalg.vecdot(pairs.mass_BKK.flatten(), sign_BKK.flatten())), total


def _where_any(mass_BK: Tensor, values_BK: Tensor) -> Tensor:
    # what an absent response holds may be anything
    return masked(values_BK.to(mass_BK.dtype), mass_BK > 0)
