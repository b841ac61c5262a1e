"""Loading and saving: what comes back, and every way in which a folder can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from xpo.errors import UserError
from xpo.model.hf import HuggingFace
from xpo.model.loaded import fingerprint
from xpo.model.scratch import Scratch

TEXTS = ["the cat sat on the mat", "it's 12 o'clock", "naïve café ", "a\n\n b  c"] * 5
SMALL = {"hidden": 16, "layers": 2, "heads": 2, "vocab_size": 300, "max_length": 64}


@pytest.fixture(params=["llama", "qwen2", "qwen3", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    loaded = Scratch(model_type=request.param, **SMALL).load(seed=3, texts=lambda: TEXTS)
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "was").write_text(loaded.fingerprint)
    return tmp_path


def test_a_saved_folder_comes_back_whole(folder):
    made = Scratch(model_type="llama", **SMALL).load(seed=3, texts=lambda: TEXTS).tokenizer
    loaded = HuggingFace(str(folder)).load(seed=0)
    assert loaded.fingerprint == (folder / "was").read_text()
    assert not loaded.untrained
    assert not loaded.model.training
    for text in [*TEXTS, "unseen words: 3.14!", "<|user|>hi<|assistant|>"]:
        assert loaded.tokenizer(text)["input_ids"] == made(text)["input_ids"]
    assert loaded.tokenizer.pad_token_id not in (None, loaded.tokenizer.eos_token_id)
    assert loaded.tokenizer.chat_template == made.chat_template


def test_bfloat16_on_demand(folder):
    assert HuggingFace(str(folder), dtype="bfloat16").load(seed=0).model.dtype == torch.bfloat16


def test_dropout_is_off_everywhere(tmp_path, folder):
    config = json.loads((folder / "config.json").read_text())
    for key in ("attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout"):
        if key in config:
            config[key] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    model = HuggingFace(str(folder)).load(seed=0).model.train()
    ids = torch.arange(6)[None]
    assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)


def test_a_given_tokenizer_must_be_the_models(folder):
    own = HuggingFace(str(folder)).load(seed=0).tokenizer
    assert HuggingFace(str(folder)).load(seed=0, tokenizer=own).tokenizer.get_vocab() == own.get_vocab()
    other = Scratch(**SMALL).load(seed=0, texts=lambda: ["quite other words here"] * 9).tokenizer
    with pytest.raises(UserError, match="must share one vocabulary"):
        HuggingFace(str(folder)).load(seed=0, tokenizer=other)


def edit(path: Path, **changes) -> None:
    config = json.loads(path.read_text())
    for key, value in changes.items():
        config.pop(key, None)
        if value is not None:
            config[key] = value
    path.write_text(json.dumps(config))


def test_what_is_wrong_is_said(folder, tmp_path):
    with pytest.raises(UserError, match="there is no such folder, and it is no hub name"):
        HuggingFace(str(tmp_path / "nowhere" / "else")).load(seed=0)
    with pytest.raises(UserError, match="model.path is empty"):
        HuggingFace("").load(seed=0)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="has no config.json"):
        HuggingFace(str(empty)).load(seed=0)
    (empty / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="a LoRA adapter alone.*adapter.merge=true"):
        HuggingFace(str(empty)).load(seed=0)
    with pytest.raises(UserError, match="is a file"):
        HuggingFace(str(folder / "config.json")).load(seed=0)


@pytest.mark.parametrize("folder", ["llama", "gpt2"], indirect=True)  # Qwen2Tokenizer has an EOS of its own
def test_a_tokenizer_without_eos_is_refused(folder):
    edit(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(UserError, match="has no EOS token"):
        HuggingFace(str(folder)).load(seed=0)


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no causal language model could be loaded"):
        HuggingFace(str(folder)).load(seed=0)


def resaved(folder, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights, next(name for name in sorted(weights) if "layers.0" in name or "h.0" in name))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_are_cut_short_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="its weights cannot be read"):
        HuggingFace(str(folder)).load(seed=0)


def test_a_missing_weight_is_not_made_up(folder):
    resaved(folder, lambda weights, name: weights.pop(name))
    with pytest.raises(UserError, match=r"not those of its config.json: \S*0\S* is missing$"):
        HuggingFace(str(folder)).load(seed=0)


def test_a_weight_of_another_shape_is_not_made_up(folder):
    resaved(folder, lambda weights, name: weights.update({name: torch.zeros(3)}))
    with pytest.raises(UserError, match=r"has shape \(3,\), not \("):
        HuggingFace(str(folder)).load(seed=0)


def test_a_revision_of_a_local_folder_is_refused(folder):
    with pytest.raises(UserError, match="leave model.revision=main away"):
        HuggingFace(str(folder), revision="main").load(seed=0)


def test_a_pad_that_is_eos_becomes_another_token(folder):
    edit(folder / "tokenizer_config.json", pad_token="<|eos|>")
    tokenizer = HuggingFace(str(folder)).load(seed=0).tokenizer
    assert tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.eos_token == "<|eos|>"


def test_a_vocabulary_larger_than_the_embedding_is_refused(folder):
    tokenizer = Scratch(**{**SMALL, "vocab_size": 320}).load(seed=0, texts=lambda: TEXTS * 20).tokenizer
    tokenizer.add_tokens([f"<extra {i}>" for i in range(60)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match="the model embeds only"):
        HuggingFace(str(folder)).load(seed=0)


def test_a_fingerprint_sees_one_changed_weight():
    model = torch.nn.Linear(3, 2)
    before = fingerprint(model)
    assert fingerprint(model) == before
    with torch.no_grad():
        model.weight[1, 2] += 1e-6
    assert fingerprint(model) != before
    assert fingerprint(model, without="weight") == fingerprint(model, without="weight")
