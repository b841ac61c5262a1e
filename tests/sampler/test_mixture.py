"""Token-wise geometric mixtures: their ends, the middle by hand, and whose cache is whose."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.sampler.small import PROMPTS, SHAPES, WORLD, gap, generator, model_of, policy_of, scored
from xpo.adapter.lora import Lora
from xpo.model.scratch import Scratch
from xpo.reference.base import Base
from xpo.reference.prepared import standing
from xpo.sampler import mixture
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate
from xpo.sampler.mixture import Mixture
from xpo.sampler.policy import Policy
from xpo.scoring.score import Scoring

DRAW = Draw(3, max_new_tokens=6)


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_0_is_the_policy_and_1_the_other(shape: str, limited: bool):
    policy, other = policy_of(shape, limited=limited), policy_of(shape, 1, limited)
    host = standing(other.model)
    for weight, who in ((0.0, policy), (1.0, other)):
        found = Mixture(host, weight)(policy, PROMPTS, DRAW, generator())
        alone = Generate()(who, PROMPTS, DRAW, generator())
        assert found.responses == alone.responses
        assert gap(found, scored(who, PROMPTS, found)) < 1e-5
    assert gap(found, scored(policy, PROMPTS, found)) > 0.01


def by_hand(policy: Policy, other: Any, found: Sampled, weight: float, temperature: float) -> float:
    """The largest difference from whole rows of both models, multiplied as probabilities."""
    worst = 0.0
    for prompt, responses, logps in zip(PROMPTS, found.responses, found.logps, strict=True):
        for response, logp in zip(responses, logps, strict=True):
            ids = torch.tensor([[*prompt, *response]])
            with torch.no_grad():
                p, q = (m(input_ids=ids).logits[0].double().softmax(-1) for m in (policy.model, other))
            product = (p ** (1 - weight) * q**weight) ** (1 / temperature)
            for t, token in enumerate(response):
                at = product[len(prompt) - 1 + t]
                worst = max(worst, abs(float((at[token] / at.sum()).log()) - logp[t]))
    return worst


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_in_between_by_hand(shape: str, share: bool):
    policy, other = policy_of(shape), model_of(shape, 1)
    engine = Mixture(standing(other), 0.3, share)
    found = engine(policy, PROMPTS, Draw(2, 0.7, max_new_tokens=5), generator())
    assert by_hand(policy, other, found, 0.3, 0.7) < 1e-5
    assert by_hand(policy, other, found, 0.7, 0.7) > 0.01  # the weights are not swapped
    small = engine(policy, PROMPTS, Draw(2, 0.7, max_new_tokens=5, tokens=1), generator())
    assert small.responses == found.responses


def test_a_cache_out_of_step_is_seen_by_these_tests(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mixture, "positions", lambda mask_BS: torch.zeros_like(mask_BS))
    policy, other = policy_of(), model_of("llama", 1)
    found = Mixture(standing(other), 0.5)(policy, PROMPTS, DRAW, generator())
    assert by_hand(policy, other, found, 0.5, 1.0) > 0.01


def test_the_policy_without_its_adapter_is_the_other():
    base = model_of()
    expected = Generate()(Policy(base, WORLD.tokenizer(), Scoring()), PROMPTS, DRAW, generator())
    model = Lora(r=2).apply(base, seed=0)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    policy = Policy(model, WORLD.tokenizer(), Scoring())
    host = Base().prepare(model, policy.scoring, policy.tokenizer).host
    assert host is not None
    assert Mixture(host, 1.0)(policy, PROMPTS, DRAW, generator()).responses == expected.responses
    own = Generate()(policy, PROMPTS, DRAW, generator())
    assert own.responses != expected.responses
    assert Mixture(host, 0.0)(policy, PROMPTS, DRAW, generator()).responses == own.responses


def test_refusals():
    with pytest.raises(ValueError, match=r"weight must be 0 \(the policy\) to 1"):
        Mixture(standing(torch.nn.Linear(1, 1)), 1.5)
    wider = Scratch(hidden=16, layers=1, heads=2, tie_embeddings=False)
    tokenizer = WORLD.tokenizer()
    tokenizer.add_tokens(["more"])
    other = standing(wider.build(tokenizer, seed=0))
    with pytest.raises(ValueError, match="guidance needs one vocabulary"):
        Mixture(other, 0.5)(policy_of(), PROMPTS, DRAW, generator())
