"""Exact metrics of a policy in the gold world: sums over every response, nothing sampled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch, Divergence, StepTotals
from xpo.gold import tokens
from xpo.gold.target import Target, exact_divergence, expectation, kl
from xpo.gold.world import World
from xpo.scoring.pack import pack

MASS_TOLERANCE = 1e-5


def world_batch(world: World, whole: bool = False) -> Batch:
    """Every prompt and response of the world as one batch (8 rows of 45 positions by default).

    ``whole``: fed to the last token, for heads.
    """
    rows = [(prompt, world.response_ids) for prompt in world.prompt_ids]
    packed, mask_XNT = pack(rows, pad_id=tokens.PAD_ID, support=world.support(), whole=whole)
    ones_X = torch.ones(world.prompts)
    totals = StepTotals(float(world.prompts), float(mask_XNT.sum()), 1)
    return Batch(packed, mask_XNT, ones_X, torch.arange(world.prompts), totals)


def exact_logp(model: Any, scoring: Callable[[Any, Batch], Tensor], batch: Batch) -> Tensor:
    """log pi(y | x) of every response of ``world_batch``, float64, through the ordinary scoring pass.

    What float32 leaves of the mass (1e-7 or so) is divided out; a policy so extreme that float32 leaves more
    is scored once more in float64. Raises ``ValueError`` if a prompt's probabilities do not sum to 1 within
    1e-5 then: the policy puts mass outside the world (a scoring without its support, a wrong vocabulary).
    """
    logp_XN = _summed(model, scoring, batch)
    if not _error(logp_XN) <= MASS_TOLERANCE:
        logp_XN = _summed(copy.deepcopy(model).double(), scoring, batch)
    error = _error(logp_XN)
    if not error <= MASS_TOLERANCE:
        raise ValueError(
            f"the policy's mass on the gold world's responses is off 1 by {error:.1e} (at most "
            f"{MASS_TOLERANCE}): score it with Scoring(support=world.support(vocabulary))"
        )
    return torch.log_softmax(logp_XN, dim=1)


def _summed(model: Any, scoring: Callable[[Any, Batch], Tensor], batch: Batch) -> Tensor:
    with torch.no_grad():
        return scoring(model, batch).double().sum(-1).cpu()


def _error(logp_XN: Tensor) -> float:
    return float((logp_XN.exp().sum(1) - 1).abs().max())


def metrics(
    world: World,
    logp_XN: Tensor,
    ref_logp_XN: Tensor,
    divergences: Mapping[str, Divergence],
    target: Target | None = None,
) -> dict[str, float]:
    """The ``gold/...`` numbers of a policy, averaged over prompts.

    reward: E r. reward_share: (E r - E_ref r) / (max r - E_ref r). win_rate: P(policy beats
    reference), two independent draws. kl: KL(pi || ref). entropy in nats. length in tokens, EOS
    included. divergence/NAME: D_f(pi || ref) of each of ``divergences``. With a target: kl_to_optimum =
    KL(pi* || pi) and, where pi* maximises a J, gap_closed = (J(pi) - J(ref)) / (J(pi*) - J(ref)) and
    divergence, the D_f of that J.
    """
    reward, start = expectation(logp_XN, world.reward_XN), expectation(ref_logp_XN, world.reward_XN)
    best = float(world.reward_XN.max(1).values.mean())
    wins_XN = (world.win_XNN @ ref_logp_XN.exp()[:, :, None]).squeeze(-1)
    found = {
        "gold/reward": reward,
        "gold/reward_share": (reward - start) / (best - start),
        "gold/win_rate": expectation(logp_XN, wins_XN),
        "gold/kl": kl(logp_XN, ref_logp_XN),
        "gold/entropy": -expectation(logp_XN, logp_XN),
        "gold/length": expectation(logp_XN, world.length_N.double().expand_as(logp_XN)),
    }
    for name, divergence in divergences.items():
        found[f"gold/divergence/{name}"] = exact_divergence(divergence, logp_XN, ref_logp_XN)
    return found | (target_metrics(logp_XN, ref_logp_XN, target) if target is not None else {})


def target_metrics(logp_XN: Tensor, ref_logp_XN: Tensor, target: Target) -> dict[str, float]:
    """The part of ``metrics`` that only a run with a declared optimum has."""
    found = {"gold/kl_to_optimum": kl(target.logp_XN, logp_XN)}
    if target.divergence is not None:
        start, best = target.value(ref_logp_XN, ref_logp_XN), target.value(target.logp_XN, ref_logp_XN)
        found["gold/gap_closed"] = (target.value(logp_XN, ref_logp_XN) - start) / (best - start)
        found["gold/divergence"] = exact_divergence(target.divergence, logp_XN, ref_logp_XN)
    return found


def distances(
    logp_XN: Tensor, ref_logp_XN: Tensor, target: Target, divergences: Mapping[str, Divergence]
) -> dict[str, float]:
    """KL(pi*_f || pi) at the target's reward and beta, for every invertible f; a run ends at the smallest.

    (Optima of the others give some responses probability 0; no off-policy run ends there.)
    """
    return {
        name: kl(divergence.optimum(ref_logp_XN, target.reward_XN, target.beta), logp_XN)
        for name, divergence in divergences.items()
        if divergence.invertible
    }
