"""References that follow the policy: where they stand after each step, and that nothing is disturbed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from xpo.adapter.lora import Lora
from xpo.reference.ema import Ema
from xpo.reference.previous import Previous
from xpo.scoring.score import Scoring, response_edges


def move(model, size=1.0):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn_like(parameter))


def logp(model, batch):
    with torch.no_grad():
        return Scoring()(model, batch)


def test_previous_jumps_every_few_steps(policy, tokenizer, both):
    prepared = Previous(every=2).prepare(policy, Scoring(), tokenizer)
    start = logp(policy, both)
    stood = []
    for step in range(1, 6):
        move(policy)
        prepared.moving.follow(step)
        stood.append((logp(policy, both), prepared(both)))
    assert torch.equal(stood[0][1], start)  # after step 1
    for at in (1, 3):  # after steps 2 and 4 it is the policy itself, and stays there
        assert torch.equal(stood[at][1], stood[at][0])
        assert torch.equal(stood[at + 1][1], stood[at][0])
        assert not torch.equal(stood[at + 1][1], stood[at + 1][0])


def test_ema_is_the_average_of_weights(policy, tokenizer, both):
    prepared = Ema(rate=0.25, every=1).prepare(policy, Scoring(), tokenizer)
    average = parameters_to_vector(policy.parameters()).detach().clone()
    for step in range(1, 4):
        move(policy)
        prepared.moving.follow(step)
        average = 0.75 * average + 0.25 * parameters_to_vector(policy.parameters()).detach()
    with prepared.host() as reference:
        torch.testing.assert_close(parameters_to_vector(reference.parameters()), average)
    other = copy.deepcopy(policy)
    torch.nn.utils.vector_to_parameters(average, other.parameters())
    torch.testing.assert_close(prepared(both), logp(other, both), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("adapted", [False, True])
def test_scoring_the_reference_leaves_the_policys_gradient_alone(policy, tokenizer, both, adapted):
    model = Lora(r=2).apply(policy, seed=0) if adapted else policy
    move(model)
    prepared = Ema(rate=0.5).prepare(model, Scoring(), tokenizer)
    move(model, 0.1)
    gradients = []
    for asked in (False, True):
        model.zero_grad()
        value = (Scoring()(model, both) ** 2).sum()
        if asked:  # between the policy's forward and backward pass, as in training
            prepared(both)
            prepared.distributions(both, response_edges(both.packed))
        value.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert gradients[0] and all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_beside_an_adapter_only_the_adapter_is_kept(policy, tokenizer):
    model = Lora(r=2).apply(policy, seed=0)
    moving = Previous(every=1).prepare(model, Scoring(), tokenizer).moving
    kept = sum(buffer.numel() for buffer in moving.buffers())
    assert kept == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert not list(moving.parameters())


@pytest.mark.parametrize("make", [lambda: Previous(every=0), lambda: Ema(rate=1.0), lambda: Ema(every=0)])
def test_ranges(make):
    with pytest.raises(ValueError, match="must be"):
        make()
