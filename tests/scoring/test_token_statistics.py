"""Statistics of next-token distributions against whole ones, and how much of those exists at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from tests.scoring.test_score import enumerated
from xpo.reference.prepared import Prepared, snapshot, standing
from xpo.scoring.head import Head, Targets, edge_logp
from xpo.scoring.score import Scoring, response_edges
from xpo.scoring.token_statistics import (
    Concentration,
    Distributions,
    Entropy,
    ReferenceKL,
    Rival,
    token_statistics,
)

EDGES, WIDTH, VOCABULARY = 7, 5, 11
WANTED = (ReferenceKL(), Concentration(), Entropy())


def whole(logits_EV: Tensor, ref_logits_EV: Tensor) -> dict[str, Tensor]:
    """The same numbers from distributions that all exist at once."""
    policy, reference = Categorical(logits=logits_EV), Categorical(logits=ref_logits_EV)
    return {
        "kl_ref": kl_divergence(reference, policy),
        "log_sum_p2": policy.probs.square().sum(-1).log().detach(),
        "entropy": policy.entropy(),
    }


def heads(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden states, weight and bias of a policy and of a reference."""
    torch.manual_seed(0)
    shapes = ((EDGES, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,))
    mine = [torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in shapes]
    return mine, [torch.randn(*shape, dtype=dtype) for shape in shapes]


def distributions(parts: list[Tensor], scale: float = 1.0, softcap: float | None = None) -> Distributions:
    return Distributions(parts[0], Head(parts[1], parts[2], scale, softcap))


def logits_of(parts: list[Tensor], scale: float, softcap: float | None) -> Tensor:
    logits_EV = (parts[0] @ parts[1].T + parts[2]) * scale
    return logits_EV if softcap is None else softcap * torch.tanh(logits_EV / softcap)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("scale, softcap", [(1.0, None), (0.25, None), (3.0, 4.0)])
def test_values_and_gradients_are_those_of_whole_distributions(chunk, scale, softcap):
    mine, theirs = heads()
    targets = Targets(torch.randint(VOCABULARY, (EDGES,)))
    got = token_statistics(WANTED, distributions(mine, scale, softcap), distributions(theirs), targets, chunk)
    expected = whole(logits_of(mine, scale, softcap), logits_of(theirs, 1.0, None))
    direction = torch.randn(2, EDGES, dtype=torch.float64)
    for name, value in expected.items():
        torch.testing.assert_close(got[name].detach(), value.detach())
    assert not got["log_sum_p2"].requires_grad
    sums = [(found["kl_ref"] @ direction[0] + found["entropy"] @ direction[1]) for found in (got, expected)]
    for a, b in zip(*(torch.autograd.grad(total, mine) for total in sums), strict=True):
        torch.testing.assert_close(a, b)


def restricted(token_E: Tensor) -> Targets:
    """Edge 0 may only be its own token, all others one of some."""
    torch.manual_seed(3)
    table_RV = torch.rand(2, VOCABULARY) < 0.5
    table_RV[:, token_E] = True
    table_RV[0] = torch.nn.functional.one_hot(token_E[0], VOCABULARY).bool()
    return Targets(token_E, table_RV, torch.tensor([0, 1, 1, 1, 1, 1, 1]))


@pytest.mark.parametrize("chunk", [2, 100])
def test_under_a_support_only_what_may_stand_there_counts(chunk):
    mine, theirs = heads()
    targets = restricted(torch.randint(VOCABULARY, (EDGES,)))
    got = token_statistics((*WANTED, Rival()), distributions(mine), distributions(theirs), targets, chunk)
    table, row_E = targets.table_RV, targets.row_E
    assert table is not None and row_E is not None
    for e in range(EDGES):
        kept = table[row_E[e]]
        expected = whole(*(logits_of(parts, 1.0, None)[e][kept] for parts in (mine, theirs)))
        for name, value in expected.items():
            torch.testing.assert_close(got[name][e].detach(), value.detach())
    assert [got[name][0].item() for name in ("kl_ref", "log_sum_p2", "entropy")] == [0, 0, 0]
    for name in ("kl_ref", "entropy", "rival"):
        found = torch.autograd.grad(got[name].sum(), mine, retain_graph=True)
        assert all(grad.isfinite().all() for grad in found), name
        assert found[0][0].eq(0).all() and found[0][1:].any(), name


def test_gradcheck():
    mine, theirs = heads()
    targets = restricted(torch.randint(VOCABULARY, (EDGES,)))

    def value(hidden: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        policy = distributions([hidden, weight, bias], 0.5, 3.0)
        found = token_statistics((ReferenceKL(), Entropy()), policy, distributions(theirs), targets, 3)
        return tuple(found.values())

    assert torch.autograd.gradcheck(value, tuple(mine))


def test_no_edges_give_no_values():
    mine, theirs = heads()
    policy, reference = (distributions([parts[0][:0], *parts[1:]]) for parts in (mine, theirs))
    targets = Targets(torch.zeros(0, dtype=torch.long))
    found = token_statistics(WANTED, policy, reference, targets, 3)
    assert {name: value.shape for name, value in found.items()} == {s.name: (0,) for s in WANTED}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_agrees_with_the_log_probabilities(dtype):
    mine, theirs = heads(dtype)
    mine[1] = (mine[1].detach() * 30).requires_grad_()  # next to certain: the logits reach hundreds
    token_E = torch.randint(VOCABULARY, (EDGES,))
    found = token_statistics(
        (*WANTED, Rival()), distributions(mine), distributions(theirs), Targets(token_E), 3
    )
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in found.values())
    torch.cat(list(found.values())).sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in mine)
    logp_EV = torch.stack(
        [
            edge_logp(mine[0], distributions(mine).head, Targets(torch.full((EDGES,), v)), 3).detach()
            for v in range(VOCABULARY)
        ],
        1,
    )
    torch.testing.assert_close(found["log_sum_p2"], torch.logsumexp(2 * logp_EV, 1), rtol=1e-5, atol=1e-5)


def naive_logits(model: Any, rows: Any) -> Tensor:
    """Logits that predict every response token, B x K x T flattened in that order, from whole rows."""
    found = []
    for prompt, responses in rows:
        for response in responses:
            logits = model(input_ids=torch.tensor([prompt + response])).logits[0].float()
            found.append(logits[len(prompt) - 1 : len(prompt) - 1 + len(response)])
    return torch.cat(found)


def scored(scoring: Scoring, model: Any, reference: Prepared | None, batch: Any) -> tuple[Tensor, dict]:
    logp_BKT, _, policy = scoring.everything(model, batch, prompt=False)
    theirs = None if reference is None else reference.distributions(batch, response_edges(batch.packed))
    return logp_BKT, scoring.statistics(WANTED, policy, theirs, batch)


@pytest.mark.parametrize("path, chunk", [("shared", 1), ("shared", 2**25), ("plain", 120)])
def test_models_against_whole_rows(path, chunk, model, model_of, rows, batch_of):
    reference, batch = model_of("gpt2", seed=5), batch_of(rows)
    scoring = Scoring(path, chunk)
    logp_BKT, got = scored(scoring, model, Prepared(standing(reference), scoring, ""), batch)
    expected = whole(naive_logits(model, rows), naive_logits(reference, rows).detach())
    mask, direction = batch.mask_BKT, torch.randn(batch.mask_BKT.shape)
    for name, value in expected.items():
        torch.testing.assert_close(got[name][mask].detach(), value.detach(), atol=2e-5, rtol=1e-4)
        assert got[name][~mask].eq(0).all()
    torch.testing.assert_close(logp_BKT, Scoring(path)(model, batch))
    parameters = list(model.parameters())
    kl, entropy = direction[mask], 2 * direction[mask]
    mine = (got["kl_ref"] * direction).sum() + (got["entropy"] * 2 * direction).sum()
    theirs = (expected["kl_ref"] * kl).sum() + (expected["entropy"] * entropy).sum()
    for a, b in zip(*(torch.autograd.grad(total, parameters) for total in (mine, theirs)), strict=True):
        torch.testing.assert_close(a, b, atol=5e-5, rtol=1e-3)


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_prompt_edges_do_not_move_the_statistics(path, model_of, rows, batch_of):
    model, scoring = model_of("llama"), Scoring(path, 90)
    batch = batch_of(rows, prompt_edges=True)
    wanted = (Concentration(), Entropy())
    _, prompt_logp_BP, policy = scoring.everything(model, batch, prompt=True)
    assert prompt_logp_BP is not None
    with_prompts = scoring.statistics(wanted, policy, None, batch)
    _, _, policy = scoring.everything(model, batch_of(rows), prompt=False)
    for name, value in scoring.statistics(wanted, policy, None, batch_of(rows)).items():
        torch.testing.assert_close(with_prompts[name], value)


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_a_policy_that_is_its_reference_has_no_divergence(path, model, batch_of):
    responses, support = enumerated()
    batch, scoring = batch_of([([1, 7], responses)], support=support), Scoring(path, 120, support)
    reference = Prepared(standing(snapshot(model)), scoring, "")
    _, found = scored(scoring, model, reference, batch)
    torch.testing.assert_close(found["kl_ref"], torch.zeros_like(found["kl_ref"]), atol=1e-6, rtol=0)
    found["kl_ref"].sum().backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-5 for p in model.parameters())


def test_autocast_to_bfloat16(model_of, rows, batch_of):
    model, batch = model_of("llama"), batch_of(rows)
    reference = Prepared(standing(snapshot(model)), Scoring(), "")
    exact = scored(Scoring(), model, reference, batch)[1]["entropy"].detach()
    with torch.autocast("cpu", torch.bfloat16):
        _, found = scored(Scoring(chunk=120), model, reference, batch)
    assert found["kl_ref"].abs().max() < 1e-5  # policy and reference are rounded alike
    torch.testing.assert_close(found["entropy"].detach(), exact, atol=0.2, rtol=0.1)
    found["entropy"].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_what_is_missing_is_said():
    mine, theirs = heads()
    targets = Targets(torch.zeros(EDGES, dtype=torch.long))
    with pytest.raises(ValueError, match="kl_ref compares with a reference"):
        token_statistics(WANTED, distributions(mine), None, targets, 3)
    wider = [theirs[0], torch.randn(VOCABULARY + 2, WIDTH).double(), torch.randn(VOCABULARY + 2).double()]
    with pytest.raises(ValueError, match="11 tokens and the reference's 13"):
        token_statistics(WANTED, distributions(mine), distributions(wider), targets, 3)
    assert Scoring().statistics((), distributions(mine), None, None) == {}  # type: ignore[arg-type]
