"""Whole next-token distributions of every kind of reference, and that asking for them disturbs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference.test_options import move
from xpo.adapter.lora import Lora
from xpo.contracts import Batch
from xpo.reference.base import Base
from xpo.reference.ema import Ema
from xpo.reference.frozen import Frozen
from xpo.reference.model import OtherModel
from xpo.reference.none import NoReference
from xpo.reference.prepared import Prepared, snapshot, standing
from xpo.reference.previous import Previous
from xpo.scoring.head import Targets
from xpo.scoring.score import Scoring, response_edges
from xpo.scoring.token_statistics import ReferenceKL

SCORING = Scoring(chunk=3 * 300)


def lora(policy: Any) -> Any:
    adapted = Lora(r=2).apply(policy, seed=0)
    move(adapted)
    return adapted


OPTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "frozen": (lambda folder: Frozen(cache=False), lambda policy: policy),
    "frozen, lora": (lambda folder: Frozen(cache=False), lora),
    "base, lora": (lambda folder: Base(), lora),
    "model": (lambda folder: OtherModel(str(folder)), lambda policy: policy),
    "previous": (lambda folder: Previous(every=1), lambda policy: policy),
    "previous, lora": (lambda folder: Previous(every=1), lora),
    "ema": (lambda folder: Ema(rate=0.3), lambda policy: policy),
}


@pytest.fixture(params=OPTIONS, ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Any, policy: Any, tokenizer: Any) -> tuple[Any, Any, Any]:
    """A reference option, the policy that it is prepared from, and the model below its adapter."""
    torch.manual_seed(4)
    make, adapt = OPTIONS[request.param]
    other, below = snapshot(policy), snapshot(policy)
    move(other.requires_grad_(True))
    other.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return make(tmp_path), adapt(policy), below


def logp_EV(prepared: Prepared, batch: Batch) -> Tensor:
    found = prepared.distributions(batch, response_edges(batch.packed))
    assert not found.hidden_ED.requires_grad and not found.head.weight_VD.requires_grad
    return found.logp(slice(None), Targets(batch.packed.edge_token_E))


def test_they_are_whole_and_have_the_references_log_probabilities(case, tokenizer, both):
    make, policy, _ = case
    prepared = make.prepare(policy, SCORING, tokenizer)
    move(policy)
    if prepared.moving is not None:
        prepared.moving.follow(1)
        move(policy)
    logp = logp_EV(prepared, both)
    torch.testing.assert_close(logp.exp().sum(1), torch.ones(len(logp)), atol=1e-5, rtol=0)
    own_E = logp.gather(1, both.packed.edge_token_E[:, None])[:, 0]
    ref_logp_BKT = prepared(both)
    torch.testing.assert_close(own_E[both.packed.edge_BKT][both.mask_BKT], ref_logp_BKT[both.mask_BKT])
    with torch.no_grad():
        assert not torch.allclose(SCORING(policy, both), ref_logp_BKT, atol=1e-3)


def gradients(policy: Any, reference: Prepared, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Of a loss of log-probabilities and divergences, the reference being asked in between."""
    policy.zero_grad()
    logp_BKT, _, mine = SCORING.everything(policy, batch, prompt=False)
    theirs = reference.distributions(batch, response_edges(batch.packed))
    kl_BKT = SCORING.statistics((ReferenceKL(),), mine, theirs, batch)["kl_ref"]
    (kl_BKT.sum() - logp_BKT.sum()).backward()
    return kl_BKT.detach(), [p.grad.clone() for p in policy.parameters() if p.grad is not None]


def test_the_policys_gradient_is_as_with_a_model_that_stands_beside_it(case, tokenizer, both):
    """Some references are the policy with other weights for a moment, between its two passes."""
    make, policy, below = case
    prepared = make.prepare(policy, SCORING, tokenizer)
    move(policy)
    assert prepared.host is not None
    with prepared.host() as model:
        alone = below if make.needs_adapter else snapshot(model)
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    kl_BKT, mine = gradients(policy, prepared, both)
    assert kl_BKT.max() > 1e-3
    expected_BKT, expected = gradients(policy, Prepared(standing(alone), SCORING, ""), both)
    torch.testing.assert_close(kl_BKT, expected_BKT)
    assert len(mine) == len(expected) > 0
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert all(torch.equal(p, before[name]) for name, p in policy.named_parameters())


def test_no_reference_has_none(policy, tokenizer, both):
    prepared = NoReference().prepare(policy, SCORING, tokenizer)
    with pytest.raises(ValueError, match="reference=none has no next-token distributions"):
        prepared.distributions(both, response_edges(both.packed))
