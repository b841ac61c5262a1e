"""Scores under the distribution that was sampled from: logits over a temperature, in both paths."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.scoring.head import Head, Targets, edge_logp
from xpo.scoring.path import self_check
from xpo.scoring.score import Scoring, response_edges
from xpo.scoring.support import Support
from xpo.scoring.token_statistics import Concentration, Entropy

PATHS = ("shared", "plain")
ROWS = [([1, 5, 6, 7], [[7, 8, 9, 10, 2], [11, 2]]), ([1, 9], [[3, 2], [12, 13, 14, 2]])]


def by_hand(model: Any, temperature: float, entropy: bool = False) -> Tensor:
    """Whole rows through the model: log p of the tokens, or the entropies of what predicts them."""
    found = torch.zeros(2, 2, 5)
    for b, (prompt, responses) in enumerate(ROWS):
        for k, response in enumerate(responses):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + response])).logits[0].double()
            for t, token in enumerate(response):
                p = torch.distributions.Categorical(logits=logits[len(prompt) - 1 + t] / temperature)
                found[b, k, t] = p.entropy() if entropy else p.log_prob(torch.tensor(token))
    return found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.5])
def test_values(path: Any, temperature: float, model: Any, batch_of: Any):
    batch, scoring = batch_of(ROWS), Scoring(path, temperature=temperature)
    with torch.no_grad():
        got = scoring(model, batch)
        statistics = scoring.statistics(
            (Entropy(), Concentration()),
            scoring.distributions(model, batch, response_edges(batch.packed)),
            None,
            batch,
        )
    torch.testing.assert_close(got, by_hand(model, temperature), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        statistics["entropy"], by_hand(model, temperature, entropy=True), atol=1e-4, rtol=0
    )
    assert self_check(model, batch, scoring)[0] == scoring


@pytest.mark.parametrize("path", PATHS)
def test_capped_logits_of_a_whole_model(path: Any, batch_of: Any):
    """Gemma caps its logits, at 2 here, and generate divides what comes of it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "pad_token_id": 0}
    torch.manual_seed(0)
    config = AutoConfig.for_model("gemma2", **sizes, **heads, final_logit_softcapping=2.0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        got = Scoring(path, temperature=0.5)(model, batch_of(ROWS))
    torch.testing.assert_close(got, by_hand(model, 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale, softcap", [(0.25, None), (3.0, 4.0)])
def test_the_head_shrinks_scale_and_cap_alike(scale: float, softcap: float | None):
    torch.manual_seed(0)
    hidden_ED, weight_VD = torch.randn(6, 5).double(), torch.randn(11, 5).double()
    token_E = torch.arange(6)
    logits_EV = hidden_ED @ weight_VD.T * scale
    if softcap is not None:
        logits_EV = softcap * torch.tanh(logits_EV / softcap)
    expected_E = torch.distributions.Categorical(logits=logits_EV / 0.7).log_prob(token_E)

    def at(head: Head) -> Tensor:
        return edge_logp(hidden_ED, head, Targets(token_E), 100)

    head = Head(weight_VD, None, scale, softcap)
    torch.testing.assert_close(at(head.at(0.7)), expected_E)
    if softcap is not None:  # shrinking the scale alone is another function
        assert (at(dataclasses.replace(head, scale=scale / 0.7)) - expected_E).abs().max() > 0.01
    assert head.at(1.0) is head


@pytest.mark.parametrize("chunk", [1, 2**25])
def test_gradients(chunk: int, model_of: Any, batch_of: Any, naive: Any):
    model, batch = model_of("llama"), batch_of(ROWS)
    direction = torch.randn(batch.mask_BKT.shape, generator=torch.Generator().manual_seed(1))
    (Scoring(chunk=chunk, temperature=0.7)(model, batch) * direction).sum().backward()
    got = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    own = model.forward
    hot = lambda **fed: dataclasses.replace(own(**fed), logits=own(**fed).logits / 0.7)  # noqa: E731
    (naive(hot, ROWS, batch.mask_BKT) * direction).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, atol=2e-5, rtol=1e-4, msg=name)


def test_under_a_support_the_mass_stays_1(model: Any, batch_of: Any):
    allowed_TV = torch.zeros(2, 40, dtype=torch.bool)
    allowed_TV[0, [3, 4, 5]] = True
    allowed_TV[1, 2] = True
    support = Support(allowed_TV)
    batch = batch_of([([1, 7], [[3, 2], [4, 2], [5, 2]])], support=support)
    with torch.no_grad():
        logp_BKT = Scoring(support=support, temperature=0.3)(model, batch)
    assert logp_BKT.sum(-1).exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert logp_BKT[..., 1].eq(0).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_ranges(temperature: float):
    with pytest.raises(ValueError, match="temperature must be above 0 and finite"):
        Scoring(temperature=temperature)
