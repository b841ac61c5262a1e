"""What trains under each adapter, and what is exported."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xpo.adapter.lora import Lora
from xpo.adapter.none import NoAdapter
from xpo.errors import UserError
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe


def small(model_type: str = "llama") -> Any:
    tokenizer = train_bpe(["a b c"], 270)
    return (
        Scratch(model_type=model_type, hidden=16, heads=2, layers=1).load(seed=0, tokenizer=tokenizer).model
    )


def disturbed(policy: Any) -> Any:
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return policy


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(5)[None]).logits


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_only_the_adapter_trains_and_it_starts_as_the_base(model_type):
    base = logits(small(model_type))
    policy = Lora(r=2).apply(small(model_type), seed=0)
    trained = [name for name, p in policy.named_parameters() if p.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert torch.equal(logits(policy), base)


def test_switched_off_it_is_the_base_bitwise():
    base = logits(small())
    policy = disturbed(Lora(r=2).apply(small(), seed=0))
    assert not torch.equal(logits(policy), base)
    with policy.disable_adapter():
        assert torch.equal(logits(policy), base)


def test_the_seed_decides_the_adapter():
    first, second, third = (Lora(r=2).apply(small(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)


def test_merging_exports_a_plain_model_and_leaves_the_policy():
    policy = disturbed(Lora(r=2).apply(small(), seed=0))
    merged = Lora(merge=True).export(policy)
    torch.testing.assert_close(logits(merged), logits(policy), atol=1e-5, rtol=1e-5)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert any("lora" in name for name, _ in policy.named_parameters())
    assert Lora(merge=False).export(policy) is policy


def test_without_an_adapter_everything_trains():
    model = NoAdapter().apply(small(), seed=0)
    assert all(p.requires_grad for p in model.parameters())
    assert NoAdapter().export(model) is model


def test_a_module_that_is_not_there_is_an_error():
    with pytest.raises(UserError, match="adapter.target_modules=.*q_porj"):
        Lora(target_modules=("q_porj",)).apply(small(), seed=0)


@pytest.mark.parametrize(("model_type", "has"), [("llama", "q_proj"), ("gpt2", "c_attn")])
def test_one_wrong_name_among_right_ones_is_an_error(model_type, has):
    with pytest.raises(UserError, match=f"no module foo; it has .*{has}.*all-linear alone"):
        Lora(target_modules=(has, "foo")).apply(small(model_type), seed=0)
    with pytest.raises(UserError, match="no module all-linear"):
        Lora(target_modules=(has, "all-linear")).apply(small(model_type), seed=0)


@pytest.mark.parametrize("values", [{"r": 0}, {"alpha": 0.0}, {"dropout": 1.0}, {"target_modules": ()}])
def test_ranges_are_checked(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Lora(**values)
