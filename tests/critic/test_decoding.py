"""Decoding by advantage: exact probabilities by loops, the same in ``generate``, and from a folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.critic.test_q_and_v import mlp, opinionated
from xpo.critic.decoding import AdvantageDecoding, load_decoding
from xpo.critic.q_and_v import QAndV
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.run.samples import Generation, Policy, generate, response_logp
from xpo.scoring.score import Scoring

WORLD = World(prompts=2, symbols=3, max_symbols=2, seed=7)


@pytest.fixture
def policy() -> Policy:
    model = Scratch(hidden=8, layers=1, heads=2, max_length=16).build(WORLD.tokenizer(), seed=0)
    return Policy(model, WORLD.tokenizer(), Scoring(support=WORLD.support()))


def decoding_of(policy: Policy, **fields: Any) -> AdvantageDecoding:
    return opinionated(QAndV(**fields).build(policy.model, 0)).decoding


def by_loop(policy: Policy, decoding: AdvantageDecoding, states_of: Any, x: int, i: int) -> float:
    """log-probability of one response from whole rows of logits, in plain numbers."""
    weights = decoding.advantage.state_dict()
    prompt, response = list(WORLD.prompt_ids[x]), list(WORLD.response_ids[i])
    ids = [*prompt, *response]
    states = states_of(policy.model, ids).tolist()
    logits = policy.model(input_ids=torch.tensor([ids])).logits[0].tolist()
    total = 0.0
    for t, token in enumerate(response):
        at = len(prompt) - 1 + t
        allowed = WORLD.support().allowed_TV[min(t, 2)].nonzero().flatten().tolist()
        slow = [mlp(weights, f"slow.{n}", states[at]) for n in (0, 1)]
        value = mlp(weights, "v", states[at])[0]
        worth = {v: logits[at][v] + decoding.beta * (min(slow[0][v], slow[1][v]) - value) for v in allowed}
        kept = sorted(worth, key=lambda v: -worth[v])[: decoding.top_k]
        total += worth[token] - math.log(sum(math.exp(worth[v]) for v in kept)) if token in kept else -1e4
    return total


@pytest.mark.parametrize("fields", [{"beta": 1.0}, {"beta": 3.0, "top_k": None}, {"beta": 2.0, "top_k": 2}])
def test_loop_oracle(fields: dict[str, Any], policy: Policy, states_of: Any):
    decoding = decoding_of(policy, **fields)
    found = decoding.scoring(policy.scoring)(policy.model, world_batch(WORLD)).sum(-1)
    small = decoding.scoring(Scoring(chunk=1, support=WORLD.support()))(policy.model, world_batch(WORLD)).sum(
        -1
    )
    torch.testing.assert_close(small, found, rtol=1e-5, atol=1e-5)
    for x in range(WORLD.prompts):
        for i in range(WORLD.size):
            expected = by_loop(policy, decoding, states_of, x, i)
            assert found[x, i].item() == pytest.approx(expected, abs=1e-3, rel=1e-4)
    exact = exact_logp(policy.model, decoding.scoring(policy.scoring), world_batch(WORLD))
    assert torch.allclose(exact.exp().sum(1), torch.ones(2, dtype=torch.float64))


def test_beta_0_is_the_policy_and_a_large_one_is_not(policy: Policy):
    own = exact_logp(policy.model, policy.scoring, world_batch(WORLD))
    for beta, near in ((0.0, True), (2.0, False)):
        decoding = decoding_of(policy, beta=beta)
        found = exact_logp(policy.model, decoding.scoring(policy.scoring), world_batch(WORLD))
        assert torch.allclose(found, own, atol=1e-5) == near


def test_generate_draws_what_is_scored(policy: Policy):
    decoding = decoding_of(policy, beta=2.0)
    exact = exact_logp(policy.model, decoding.scoring(policy.scoring), world_batch(WORLD)).exp()
    decoded = Policy(policy.model, policy.tokenizer, policy.scoring, decoding)
    draws, x = 4000, 1
    answers = generate(decoded, [WORLD.prompt_ids[x]] * draws, Generation(max_new_tokens=4), sample=True)
    index = {tuple(ids): i for i, ids in enumerate(WORLD.response_ids)}
    share = torch.bincount(torch.tensor([index[tuple(a)] for a in answers]), minlength=WORLD.size) / draws
    assert torch.allclose(share.double(), exact[x], atol=4 * math.sqrt(0.25 / draws))
    own = exact_logp(policy.model, policy.scoring, world_batch(WORLD)).exp()
    assert not torch.allclose(share.double(), own[x], atol=4 * math.sqrt(0.25 / draws))
    told = response_logp(decoded, WORLD.prompt_ids, [WORLD.response_ids[2]] * 2)
    assert told == pytest.approx(exact[:, 2].log().tolist(), abs=1e-4)


def test_prompts_of_unlike_length_are_padded_on_the_left(policy: Policy):
    decoded = Policy(policy.model, policy.tokenizer, policy.scoring, decoding_of(policy, beta=2.0))
    prompts = [WORLD.prompt_ids[0], WORLD.prompt_ids[1][:2]]
    together = generate(decoded, prompts, Generation(max_new_tokens=4), sample=False)
    alone = [generate(decoded, [p], Generation(max_new_tokens=4), sample=False)[0] for p in prompts]
    assert together == alone


def test_the_hook_is_gone_afterwards(policy: Policy):
    head = policy.model.get_output_embeddings()
    with decoding_of(policy).processor(policy.model) as processor:
        assert len(head._forward_pre_hooks) == 1
        with pytest.raises(AssertionError, match="has not run"):
            processor(torch.zeros(1, 1).long(), torch.zeros(1, 3))
    assert not head._forward_pre_hooks


@pytest.mark.parametrize("top_k", [None, 2])
def test_from_a_folder(top_k: int | None, policy: Policy, tmp_path: Path):
    from transformers import AutoModelForCausalLM

    decoding = decoding_of(policy, beta=2.5, top_k=top_k)
    decoding.save(tmp_path)
    policy.model.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    processor = load_decoding(tmp_path, model)
    ids = torch.tensor([WORLD.prompt_ids[0]])
    with decoding.processor(policy.model) as other:
        expected = other(ids, policy.model(input_ids=ids).logits[:, -1])
    torch.testing.assert_close(processor(ids, model(input_ids=ids).logits[:, -1]), expected)
    assert int(torch.isfinite(expected).sum()) == (expected.numel() if top_k is None else 2)
    wider = Scratch(hidden=16, layers=1, heads=2, max_length=16).build(WORLD.tokenizer(), seed=0)
    with pytest.raises(ValueError, match="over .* tokens and 8 features"):
        load_decoding(tmp_path, wider)
