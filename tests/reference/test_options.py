"""Each reference is whose it says it is, before and after the policy moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from xpo import registry
from xpo.adapter.lora import Lora
from xpo.errors import UserError
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.reference.adapter import Adapter
from xpo.reference.base import Base
from xpo.reference.frozen import Frozen
from xpo.reference.model import OtherModel
from xpo.reference.none import NoReference
from xpo.scoring.score import Scoring


def move(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))


def test_frozen_without_a_cache_stays_where_the_policy_was(policy, tokenizer, both):
    with torch.no_grad():
        before = Scoring()(policy, both)
    prepared = Frozen(cache=False).prepare(policy, Scoring(), tokenizer)
    move(policy)
    assert torch.equal(prepared(both), before)
    assert not prepared(both).requires_grad
    with torch.no_grad():
        assert not torch.equal(Scoring()(policy, both), before)


@pytest.mark.parametrize("fused", [True, False])
def test_frozen_with_a_cache_keeps_no_copy_and_never_answers_for_a_trained_policy(
    fused, policy, tokenizer, both
):
    prepared = Frozen(cache=True).prepare(policy, Scoring(), tokenizer)
    Scoring()(policy, both).sum().backward()
    with torch.no_grad():
        assert torch.equal(prepared(both), Scoring()(policy, both))
    torch.optim.AdamW(policy.parameters(), lr=1e-7, fused=fused).step()
    with pytest.raises(RuntimeError, match="not in its cache"):
        prepared(both)


def test_beside_a_lora_policy_only_the_adapter_is_copied(policy, tokenizer, both):
    adapted = Lora(r=2).apply(policy, seed=0)
    move(adapted)  # an SFT stage
    with torch.no_grad():
        before = Scoring()(adapted, both)
    prepared = Frozen(cache=False).prepare(adapted, Scoring(), tokenizer)
    assert prepared.host is not None
    with prepared.host() as kept:
        pass
    mine = {p.data_ptr() for p in adapted.parameters()}
    assert {p.data_ptr() in mine for n, p in kept.named_parameters() if "lora" in n} == {False}
    assert {p.data_ptr() in mine for n, p in kept.named_parameters() if "lora" not in n} == {True}
    move(adapted)
    assert torch.equal(prepared(both), before)


def test_base_is_the_model_without_its_adapter(policy, tokenizer, both):
    with torch.no_grad():
        before = Scoring()(policy, both)
    adapted = Lora(r=2, dropout=0.5).apply(policy, seed=0).train()
    move(adapted)
    prepared = Base().prepare(adapted, Scoring(), tokenizer)
    assert torch.equal(prepared(both), before)
    assert adapted.training  # left as it was
    move(adapted)
    again = Base().prepare(adapted, Scoring(), tokenizer)
    assert again.fingerprint == prepared.fingerprint
    assert torch.equal(again(both), before)


def test_base_needs_an_adapter(policy, tokenizer):
    assert Base.needs_adapter
    with pytest.raises(UserError, match="set adapter=lora or reference=frozen"):
        Base().prepare(policy, Scoring(), tokenizer)


def test_none_is_zero(policy, tokenizer, both):
    prepared = NoReference().prepare(policy, Scoring(), tokenizer)
    assert prepared(both).shape == both.mask_BKT.shape
    assert not prepared(both).any()


def saved(tmp_path: Path, tokenizer, seed: int) -> str:
    model = Scratch(hidden=16, heads=2, layers=1).load(seed=seed, tokenizer=tokenizer).model
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def test_another_model(tmp_path, policy, tokenizer, both):
    prepared = OtherModel(saved(tmp_path, tokenizer, seed=5)).prepare(policy, Scoring(), tokenizer)
    other = Scratch(hidden=16, heads=2, layers=1).load(seed=5, tokenizer=tokenizer).model
    with torch.no_grad():
        torch.testing.assert_close(prepared(both), Scoring()(other, both), atol=1e-6, rtol=0)
    assert prepared.fingerprint != Frozen().prepare(policy, Scoring(), tokenizer).fingerprint


def test_another_model_must_be_there(policy, tokenizer):
    with pytest.raises(UserError, match="reference.path=/no/where: there is no such folder"):
        OtherModel("/no/where").prepare(policy, Scoring(), tokenizer)


def test_another_model_must_share_the_vocabulary(tmp_path, policy, tokenizer):
    other = train_bpe(["quite different words"] * 3, 280)
    with pytest.raises(UserError, match="must share one vocabulary"):
        OtherModel(saved(tmp_path, other, seed=5)).prepare(policy, Scoring(), tokenizer)


@pytest.mark.parametrize("name", registry.names("reference"))
def test_every_reference_declares_itself(name):
    option = registry.component("reference", name)
    for trait in ("given", "needs_adapter", "cacheable"):
        assert isinstance(vars(option)[trait], bool)
    assert option.given or not option.cacheable


def test_an_adapter_folder_is_the_reference(tmp_path, policy, tokenizer, both):
    with torch.no_grad():
        base = Scoring()(policy, both)
    other = Lora(r=3).apply(policy, seed=1)
    move(other)
    with torch.no_grad():
        expected = Scoring()(other, both)
    other.save_pretrained(tmp_path)
    plain = other.unload()
    mine = Lora(r=2).apply(plain, seed=0)
    move(mine)
    with torch.no_grad():
        own = Scoring()(mine, both)
    prepared = Adapter(str(tmp_path)).prepare(mine, Scoring(), tokenizer)
    move(mine)
    torch.testing.assert_close(prepared(both), expected, atol=1e-6, rtol=0)
    assert not torch.allclose(prepared(both), base) and not torch.allclose(prepared(both), own)
    assert all("reference" not in name for name, _ in mine.named_parameters()), "the policy was changed"


def test_an_adapter_over_a_whole_policy(tmp_path, policy, tokenizer, both):
    other = Lora(r=3).apply(policy, seed=1)
    move(other)
    with torch.no_grad():
        expected = Scoring()(other, both)
    other.save_pretrained(tmp_path)
    plain = other.unload()
    prepared = Adapter(str(tmp_path)).prepare(plain, Scoring(), tokenizer)
    move(plain)
    torch.testing.assert_close(prepared(both), expected, atol=1e-6, rtol=0)


def test_a_folder_without_an_adapter_is_refused(tmp_path, policy, tokenizer):
    with pytest.raises(UserError, match=r"holds no adapter_config.json.*reference=model"):
        Adapter(str(tmp_path)).prepare(policy, Scoring(), tokenizer)
