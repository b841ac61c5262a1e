"""Draws of ``generate`` against exact probabilities, the scoring pass, and each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.sampler.small import (
    MOST,
    PROMPTS,
    SHAPES,
    WORLD,
    chi_square,
    gap,
    generator,
    loud,
    model_of,
    policy_of,
    scored,
)
from xpo.adapter.lora import Lora
from xpo.errors import UserError
from xpo.gold import tokens
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.sampler import generate, prefill
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate, batches
from xpo.sampler.policy import Policy
from xpo.scoring.score import Scoring

NEAR = 1e-5


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("share", [True, False])
def test_draws_are_distributed_as_the_policy_is(share: bool, temperature: float):
    policy, prompt = policy_of(limited=True), WORLD.prompt_ids[2]
    found = Generate(share)(policy, [prompt], Draw(3000, temperature, max_new_tokens=4), generator(3))
    hot = dataclasses.replace(policy.scoring, temperature=temperature)
    exact_XN = exact_logp(policy.model, hot, world_batch(WORLD))
    assert chi_square(found.responses[0], exact_XN[2]) < MOST
    for wrong in (exact_XN[1], exact_logp(policy.model, policy.scoring, world_batch(WORLD))[2] / 1.2):
        assert chi_square(found.responses[0], wrong.log_softmax(0)) > MOST
    assert all(found.finished[0]) and all(r[-1] == tokens.EOS_ID for r in found.responses[0])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_log_probabilities_are_those_of_the_scoring_pass(shape: str, limited: bool, temperature: float):
    policy = policy_of(shape, limited=limited)
    found = Generate()(policy, PROMPTS, Draw(3, temperature, max_new_tokens=6), generator())
    assert gap(found, scored(policy, PROMPTS, found, temperature)) < NEAR
    assert gap(found, scored(policy, PROMPTS, found, 1.3)) > 0.01


@pytest.mark.parametrize("responses", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shared_prefill_and_batches_of_any_size_change_nothing(shape: str, responses: int):
    policy, draw = policy_of(shape), Draw(responses, max_new_tokens=6)
    found = Generate()(policy, PROMPTS, draw, generator())
    plain = Generate(share=False)(policy, PROMPTS, draw, generator())
    small = Generate()(policy, PROMPTS, dataclasses.replace(draw, tokens=1), generator())
    assert [len(row) for row in found.responses] == [responses] * 4
    for other in (plain, small):
        assert other.responses == found.responses and other.finished == found.finished
        assert gap(other, [padded(row) for row in found.logps]) < NEAR
    assert Generate()(policy, PROMPTS, draw, generator(1)).responses != found.responses


def padded(rows: list[list[float]]) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def test_responses_of_one_prompt_and_of_equal_prompts_are_drawn_apart():
    found = Generate()(policy_of(), [PROMPTS[0]] * 2, Draw(4, max_new_tokens=6), generator())
    assert len({tuple(r) for row in found.responses for r in row}) > 4


def test_batches_are_of_like_length_and_within_the_budget():
    draw = Draw(2, max_new_tokens=5, tokens=60)
    found = list(batches([9, 1, 10, 2, 40], draw))
    assert found == [[1, 3], [0, 2], [4]]  # 2 * 2 * 7 and 2 * 2 * 15 positions; 90 alone
    assert list(batches([], draw)) == []


def wrong_positions(mask_BS: torch.Tensor) -> torch.Tensor:
    return torch.arange(mask_BS.shape[1]).expand_as(mask_BS) + 3


def unmasked(prompts: Any, pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids_BP = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
    return ids_BP, torch.ones_like(ids_BP)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("broken", ["positions", "padding"])
def test_wrong_positions_and_unmasked_padding_are_seen_by_these_tests(
    broken: str, shape: str, monkeypatch: pytest.MonkeyPatch
):
    if broken == "positions":
        monkeypatch.setattr(prefill, "positions", wrong_positions)
    else:
        monkeypatch.setattr(generate, "left_padded", unmasked)
    policy = policy_of(shape)
    found = Generate()(policy, PROMPTS, Draw(2, max_new_tokens=4), generator())
    assert gap(found, scored(policy, PROMPTS, found)) > 0.01


def test_adapters_are_drawn_from():
    base = model_of()
    plain = Policy(base, WORLD.tokenizer(), Scoring())
    before = Generate()(plain, PROMPTS, Draw(2, max_new_tokens=6), generator())
    model = Lora(r=2).apply(base, seed=0)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    policy = Policy(model, WORLD.tokenizer(), Scoring())
    found = Generate()(policy, PROMPTS, Draw(2, max_new_tokens=6), generator())
    assert found.responses != before.responses
    assert gap(found, scored(policy, PROMPTS, found)) < NEAR
    with model.disable_adapter():
        off = Generate()(policy, PROMPTS, Draw(2, max_new_tokens=6), generator())
    assert off.responses == before.responses


def test_nothing_is_left_behind():
    policy = policy_of()
    model = policy.model.train()
    model.lm_head.eval()
    settings = model.generation_config
    settings.repetition_penalty = 5.0  # a checkpoint's own: not the policy's distribution
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = Generate()(policy, PROMPTS, Draw(2, max_new_tokens=6), generator())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and model.model.training and not model.lm_head.training
    assert model.generation_config is settings and settings.repetition_penalty == 5.0
    assert gap(found, scored(policy, PROMPTS, found)) < NEAR


OTHERS: dict[str, tuple[dict[str, Any], bool]] = {
    "mistral": ({"sliding_window": 3}, True),
    "gemma2": ({"sliding_window": 3, "final_logit_softcapping": 2.0}, True),
    "bloom": ({"n_head": 4}, True),
    "mamba": ({"state_size": 4}, False),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.filterwarnings("ignore")  # transformers says that mamba's fast kernels are not installed
def test_other_architectures(kind: str, capsys: pytest.CaptureFixture[str]):
    policy, shared = other(kind)
    generate._told.cache_clear()
    draw = Draw(2, 0.7, max_new_tokens=4)
    found = Generate()(policy, PROMPTS, draw, generator())
    assert gap(found, scored(policy, PROMPTS, found, 0.7)) < 2e-5
    Generate()(policy, PROMPTS, draw, generator())
    assert capsys.readouterr().out.count("SLOW SAMPLING: MambaForCausalLM reads") == (not shared)


def other(kind: str) -> tuple[Policy, bool]:
    from transformers import AutoConfig, AutoModelForCausalLM

    more, shared = OTHERS[kind]
    sizes = {
        "vocab_size": 22,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 32}
    config = AutoConfig.for_model(kind, **sizes, **heads, **more)
    model = loud(AutoModelForCausalLM.from_config(config).eval(), 0)
    return Policy(model, WORLD.tokenizer(), Scoring(path="plain")), shared


def test_refusals_before_anything_is_drawn():
    policy = policy_of()
    with pytest.raises(ValueError, match="a prompt has no token"):
        Generate()(policy, [[1], []], Draw(), generator())
    with pytest.raises(UserError, match="prompt has 5 tokens .* 45, .*48 positions"):
        Generate()(policy, PROMPTS, Draw(max_new_tokens=45), generator())
    with pytest.raises(ValueError, match="min_new_tokens=3 goes beyond the longest response"):
        limited = policy_of(limited=True)
        Generate()(limited, PROMPTS, Draw(min_new_tokens=3, max_new_tokens=5), generator())
    assert Generate()(policy, [], Draw(max_new_tokens=4), generator()) == Sampled([], [], [])


def test_a_distribution_without_any_token_is_an_error(monkeypatch: pytest.MonkeyPatch):
    policy = policy_of()

    def nothing(ids_BP: Any, mask_BP: Any, copies: int) -> Any:
        return lambda ids_RS, logits_RV: torch.full_like(logits_RV, -torch.inf)

    with pytest.raises(ValueError, match="no token may stand"):
        generate.drawn(policy, PROMPTS, Draw(max_new_tokens=2), generator(), True, nothing)
