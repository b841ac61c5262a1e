"""Every preset at the edges of floating point, through the arrow: the loss and its gradient stay finite.

The policy is the reference, so that nothing is hidden by large numbers; tokens are as certain as they get.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.stages.test_step_zero import composed, rows
from xpo.arrow import OffPolicy, Scores
from xpo.compose import presets
from xpo.contracts import Batch, Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.module.off_policy import OffPolicyModule
from xpo.reference.prepared import Prepared
from xpo.scoring.score import Scoring

MEANS = (0.0, -1e-8, -1e-4, -1.0)
ARITY = {1: "single", 2: "pair", 3: "list"}


def tied(row: Row) -> Row:
    """Nobody can tell the responses apart."""
    K = len(row.responses)
    pairs = max(1, K * (K - 1))
    return replace(
        row,
        prefer=[[float(i != j) / pairs for j in range(K)] for i in range(K)],
        good=[0.5 / K] * K,
        bad=[0.5 / K] * K,
        scores=[0.5] * K,
        wins=[[0.5] * K for _ in range(K)],
        margins=[[0.0] * K for _ in range(K)],
    )


def scores_of(arrow: OffPolicy, batch: Batch, logp_BKT: Tensor) -> Scores:
    """What a model over two tokens says that gives each token of the rows this log-probability."""
    other_BKT = torch.log(-torch.expm1(logp_BKT.detach().float()))
    logp_CV = torch.stack([logp_BKT.float().flatten(), other_BKT.flatten()], 1)
    token_C = torch.zeros(len(logp_CV), dtype=torch.long)
    token = {
        s.name: s(logp_CV if s.differentiable else logp_CV.detach(), logp_CV.detach(), token_C).view_as(
            logp_BKT
        )
        for s in arrow.token_statistics
    }
    size = {"B": batch.weight_B.shape, "BKT": logp_BKT.shape}
    value = {name: torch.zeros(size[name.rsplit("_", 1)[1]]) for name in arrow.objective.critic}
    ref_logp_BKT = logp_BKT.detach() if arrow.given_reference else torch.zeros_like(logp_BKT)
    edges = batch.packed.prompt_edge_BP
    prompt_logp_BP = None if edges is None else logp_BKT[0, 0, 0].detach().expand(edges.shape)
    return Scores(logp_BKT, ref_logp_BKT, prompt_logp_BP, token, value)


def check(composition: Any, made: list[Row], mean: float, dtype: torch.dtype) -> None:
    arrow = OffPolicy.of(composition, composition.reference.given)
    batch = Collator(0, prompt_edges=arrow.prompt_edges)(made, range(len(made)), totals_of(made, 1))
    logp_BKT = torch.full(batch.mask_BKT.shape, mean, dtype=dtype, requires_grad=True)
    scores = scores_of(arrow, batch, logp_BKT)
    module = OffPolicyModule(
        torch.nn.Identity(), arrow, Scoring(), Prepared(None, Scoring(), ""), composition.optimizer, 1
    )
    steps = module.settle(Probes((), ()), (batch, scores.detach()))
    share = arrow(batch, scores, steps).share
    (slope_BKT,) = torch.autograd.grad(share, logp_BKT)
    assert torch.isfinite(share), share
    assert torch.isfinite(slope_BKT).all(), slope_BKT


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("preset", presets())
def test_finite(preset: str, dtype: torch.dtype, mean: float) -> None:
    composition = composed(f"algo={preset}")
    if composition.objective.policy_gradient:
        pytest.skip("it has no loss of given rows: tests/on_policy has what it trains on")
    if composition.anchor.needs_rivals:
        pytest.skip("its rows have another player's responses: tests/on_policy/test_players.py")
    sizes = [K for K, name in ARITY.items() if name in composition.objective.arity]
    for B, K in itertools.product((1, 3), sizes):
        check(composition, rows(B, K), mean, dtype)
        check(composition, [tied(row) for row in rows(B, K)], mean, dtype)
