"""The chunked head in float64 against torch's own log-softmax, and what it keeps."""

from __future__ import annotations

import pytest
import torch

from xpo.scoring.head import Head, Targets, edge_logp

EDGES, WIDTH, VOCABULARY = 7, 5, 11


def parts(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    hidden_ED = torch.randn(EDGES, WIDTH, dtype=dtype, requires_grad=True)
    weight_VD = torch.randn(VOCABULARY, WIDTH, dtype=dtype, requires_grad=True)
    bias_V = torch.randn(VOCABULARY, dtype=dtype, requires_grad=True)
    return hidden_ED, weight_VD, bias_V, torch.randint(VOCABULARY, (EDGES,))


def restricted(token_E: torch.Tensor) -> Targets:
    table_RV = torch.rand(2, VOCABULARY) < 0.5
    table_RV[:, token_E] = True
    table_RV[0] = torch.nn.functional.one_hot(token_E[0], VOCABULARY).bool()
    row_E = torch.ones(EDGES, dtype=torch.long)
    row_E[0] = 0
    return Targets(token_E, table_RV, row_E)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("scale, softcap", [(1.0, None), (0.25, None), (1.0, 2.0), (3.0, 4.0)])
@pytest.mark.parametrize("limited", [False, True])
def test_values_and_gradients(chunk, scale, softcap, limited):
    hidden_ED, weight_VD, bias_V, token_E = parts()
    targets = restricted(token_E) if limited else Targets(token_E)
    logits_EV = (hidden_ED @ weight_VD.T + bias_V) * scale
    if softcap is not None:
        logits_EV = softcap * torch.tanh(logits_EV / softcap)
    if targets.table_RV is not None:
        logits_EV = logits_EV.masked_fill(~targets.table_RV[targets.row_E], float("-inf"))
    expected_E = torch.distributions.Categorical(logits=logits_EV).log_prob(token_E)
    direction_E = torch.randn(EDGES, dtype=torch.float64)
    inputs = (hidden_ED, weight_VD, bias_V)
    expected = torch.autograd.grad((expected_E * direction_E).sum(), inputs)
    got_E = edge_logp(hidden_ED, Head(weight_VD, bias_V, scale, softcap), targets, chunk)
    torch.testing.assert_close(got_E, expected_E)
    for mine, theirs in zip(torch.autograd.grad((got_E * direction_E).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    if limited:
        assert got_E[0] == 0


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("softcap", [None, 3.0])
def test_gradcheck_with_a_trained_and_a_frozen_head(chunk, softcap):
    hidden_ED, weight_VD, bias_V, token_E = parts()

    def whole(hidden, weight, bias):
        return edge_logp(hidden, Head(weight, bias, 1.0, softcap), Targets(token_E), chunk)

    def frozen(hidden):
        return edge_logp(hidden, Head(weight_VD.detach(), None, 0.5, softcap), Targets(token_E), chunk)

    assert torch.autograd.gradcheck(whole, (hidden_ED, weight_VD, bias_V))
    assert torch.autograd.gradcheck(frozen, (hidden_ED,))


def kept_for_backward(chunk: int, frozen: bool) -> int:
    """Values saved by the graph, the inputs themselves not counted."""
    hidden_ED, weight_VD, bias_V, token_E = parts()
    mine = {t.data_ptr() for t in (hidden_ED, weight_VD, bias_V)}
    sizes: list[int] = []

    def note(tensor):
        if tensor.data_ptr() not in mine:
            sizes.append(tensor.numel())
        return tensor

    head = Head(weight_VD.detach(), None) if frozen else Head(weight_VD, bias_V)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        edge_logp(hidden_ED, head, Targets(token_E), chunk)
    return sum(sizes)


def test_with_several_chunks_nothing_of_edges_times_vocabulary_is_kept():
    assert kept_for_backward(chunk=2, frozen=False) == EDGES
    assert kept_for_backward(chunk=2, frozen=True) == EDGES * WIDTH
    assert kept_for_backward(chunk=EDGES, frozen=False) == EDGES * (VOCABULARY + 1)


def test_large_logits_stay_finite_in_half_precision():
    hidden_ED, weight_VD, bias_V, token_E = parts(dtype=torch.bfloat16)
    head = Head(weight_VD * 100, bias_V)
    logp_E = edge_logp(hidden_ED, head, Targets(token_E), 3)
    assert logp_E.dtype == torch.float32
    assert logp_E.isfinite().all()
    logp_E.sum().backward()
    assert hidden_ED.grad is not None and hidden_ED.grad.dtype == torch.bfloat16


def test_no_edges_give_no_values():
    hidden_ED, weight_VD, bias_V, token_E = parts(dtype=torch.float32)
    assert edge_logp(hidden_ED[:0], Head(weight_VD, bias_V), Targets(token_E[:0]), 4).shape == (0,)
