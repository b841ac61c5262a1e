"""Metrics of one micro-batch of rewards and log-probabilities, before they are reduced.

Every metric is a mean over masses: ``chosen_BK`` is the mass with which a response was preferred (or
called good, or demonstrated), ``rejected_BK`` that with which it was dispreferred (or called bad). So
pairs, soft labels, lists, binary rows and the gold world's population have one definition each. Names
under ``rewards/`` and ``logps/`` are TRL's; ``common/`` is free of beta, of the length rule and of the
divergence, and therefore comparable between methods. Everything in nats.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.run.metrics import Ratio

_CLAMP = 20.0  # of a token's log-ratio, before it is exponentiated


@torch.no_grad()
def preference_metrics(
    reward_BK: Tensor | None, logp_BKT: Tensor, ref_logp_BKT: Tensor | None, batch: Batch
) -> dict[str, Ratio]:
    """Numerators and denominators of ``rewards/``, ``logps/`` and ``common/``.

    ``reward_BK`` is what the objective ate (None for a likelihood alone), ``ref_logp_BKT`` None where
    the run has no reference: the log-ratio and KL metrics are then absent, not computed against zeros.
    """
    sides = response_masses(batch)
    pairs_BKK = comparisons(batch)
    mask = batch.mask_BKT
    logp_BK = masked(logp_BKT.float(), mask).sum(-1)
    length_BK = batch.length_BK.to(logp_BK.dtype)
    result: dict[str, Ratio] = {}
    for side, mass_BK in sides.items():
        if reward_BK is not None:
            result[f"rewards/{side}"] = _mean(mass_BK, reward_BK)
        result[f"logps/{side}"] = _mean(mass_BK, logp_BK)
        result[f"common/length_{side}"] = _mean(mass_BK, length_BK)
        result[f"common/logp_per_token_{side}"] = _ratio(mass_BK, logp_BK, length_BK)
    if pairs_BKK is not None:
        if reward_BK is not None:
            result["rewards/margins"] = _margin(pairs_BKK, reward_BK)
            result["rewards/accuracies"] = _accuracy(pairs_BKK, reward_BK)
        result["common/logp_accuracy"] = _accuracy(pairs_BKK, logp_BK)
        result["common/mean_logp_accuracy"] = _accuracy(pairs_BKK, logp_BK / length_BK.clamp(min=1))
    if ref_logp_BKT is not None:
        log_ratio_BKT = masked(logp_BKT.float() - ref_logp_BKT.float(), mask)
        result |= _against_reference(log_ratio_BKT, sides, pairs_BKK, mask)
    return result


def response_masses(batch: Batch) -> Mapping[str, Tensor]:
    """``chosen`` and ``rejected``: how much of each response there is on each side, row weights included."""
    weight_B1 = batch.weight_B.unsqueeze(1)
    if batch.prefer_BKK is not None:
        return {
            "chosen": weight_B1 * batch.prefer_BKK.sum(2),
            "rejected": weight_B1 * batch.prefer_BKK.sum(1),
        }
    labelled = {"chosen": batch.good_BK, "rejected": batch.bad_BK}
    if batch.good_BK is None and batch.bad_BK is None:
        labelled = {"chosen": batch.demo_BK}
    return {side: weight_B1 * mass_BK for side, mass_BK in labelled.items() if mass_BK is not None}


def comparisons(batch: Batch) -> Tensor | None:
    """Mass of "i preferred over j" within a prompt, row weights included.

    From binary labels: every good response of a prompt against every bad one of the same prompt. None
    where no row can hold a comparison.
    """
    weight_B11 = batch.weight_B[:, None, None]
    if batch.prefer_BKK is not None:
        return weight_B11 * batch.prefer_BKK
    if batch.good_BK is None or batch.bad_BK is None or batch.good_BK.shape[1] < 2:
        return None
    cross_BKK = batch.good_BK.unsqueeze(2) * batch.bad_BK.unsqueeze(1)
    return weight_B11 * (cross_BKK - torch.diag_embed(cross_BKK.diagonal(dim1=1, dim2=2)))


def _against_reference(
    log_ratio_BKT: Tensor, sides: Mapping[str, Tensor], pairs_BKK: Tensor | None, mask_BKT: Tensor
) -> dict[str, Ratio]:
    log_ratio_BK = log_ratio_BKT.sum(-1)
    result = {f"common/log_ratio_{side}": _mean(mass_BK, log_ratio_BK) for side, mass_BK in sides.items()}
    if pairs_BKK is not None:
        result["common/log_ratio_margin"] = _margin(pairs_BKK, log_ratio_BK)
        result["common/log_ratio_accuracy"] = _accuracy(pairs_BKK, log_ratio_BK)
    mass_BK = torch.stack(list(sides.values())).sum(0)
    tokens_BK = mask_BKT.sum(-1).to(log_ratio_BKT.dtype)
    clamped = log_ratio_BKT.clamp(-_CLAMP, _CLAMP)
    ratio = clamped.exp()
    # per token u log u - u + 1 and u - 1 - log u: non-negative, and unbiased where a token is drawn from ref
    result["common/kl_policy_ref"] = _ratio(
        mass_BK, (ratio * clamped - torch.expm1(clamped)).sum(-1), tokens_BK
    )
    result["common/kl_ref_policy"] = _ratio(mass_BK, (torch.expm1(clamped) - clamped).sum(-1), tokens_BK)
    return result


def _mean(mass_BK: Tensor, values_BK: Tensor) -> Ratio:
    return _ratio(mass_BK, values_BK, torch.ones_like(values_BK))


def _ratio(mass_BK: Tensor, above_BK: Tensor, below_BK: Tensor) -> Ratio:
    has = mass_BK > 0  # what an absent response holds may be anything
    return (mass_BK * masked(above_BK.float(), has)).sum(), (mass_BK * masked(below_BK.float(), has)).sum()


def _margin(pairs_BKK: Tensor, values_BK: Tensor) -> Ratio:
    values = values_BK.float()
    above, total = _mean(pairs_BKK.sum(2), values)
    below, _ = _mean(pairs_BKK.sum(1), values)
    return above - below, total


def _accuracy(pairs_BKK: Tensor, values_BK: Tensor) -> Ratio:
    values = values_BK.float()
    right_BKK = 0.5 + 0.5 * torch.sign(values.unsqueeze(2) - values.unsqueeze(1))  # a tie counts half
    return (pairs_BKK * masked(right_BKK, pairs_BKK > 0)).sum(), pairs_BKK.sum()
