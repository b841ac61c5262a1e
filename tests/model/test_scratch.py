"""Random models and trained tokenizers."""

from __future__ import annotations

import pytest
import torch

from xpo.errors import UserError
from xpo.model.scratch import Scratch
from xpo.model.tokens import SMALLEST, train_bpe

TEXTS = ["the cat sat on the mat", "it's 12 o'clock", "naïve café", "日本語 and 🙂"] * 5


def test_the_seed_decides_the_weights_and_leaves_the_global_state_alone():
    tokenizer = train_bpe(TEXTS, 300)
    state = torch.get_rng_state()
    option = Scratch(hidden=16, heads=2, layers=1)
    first, second, third = (option.load(seed=seed, tokenizer=tokenizer) for seed in (1, 1, 2))
    assert first.fingerprint == second.fingerprint != third.fingerprint
    assert first.untrained and not first.model.training
    assert torch.equal(state, torch.get_rng_state())


def test_a_tokenizer_that_nobody_would_read_is_refused():
    with pytest.raises(UserError, match="model.tokenizer=foo is not read"):
        Scratch(hidden=16, heads=2, layers=1, tokenizer="foo").load(seed=0, tokenizer=train_bpe(TEXTS, 280))


def test_a_given_tokenizer_sets_the_vocabulary():
    tokenizer = train_bpe(TEXTS, 280)
    loaded = Scratch(hidden=16, heads=2, layers=1, vocab_size=4000).load(seed=0, tokenizer=tokenizer)
    assert loaded.tokenizer is tokenizer
    assert loaded.model.config.vocab_size == len(tokenizer)
    assert loaded.model.config.eos_token_id == tokenizer.eos_token_id


def test_training_a_tokenizer_twice_gives_the_same():
    first, second = train_bpe(TEXTS, 320), train_bpe(TEXTS, 320)
    assert first.get_vocab() == second.get_vocab()
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


@pytest.mark.parametrize(
    "text", ["the cat", " two  spaces\n\nand lines ", "日本語 🙂 \t!", "never seen: zebra-42"]
)
def test_any_text_survives_the_bytes(text):
    tokenizer = train_bpe(TEXTS, 320)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer(text)["input_ids"] == [tokenizer.bos_token_id, *ids]


def test_the_template_marks_what_the_assistant_says():
    tokenizer = train_bpe(TEXTS, 300)
    messages = [{"role": "user", "content": "cat?"}, {"role": "assistant", "content": "mat"}]
    encoded = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    said = [t for t, mine in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mine]
    assert tokenizer.decode(said) == "mat<|eos|>"
    assert encoded["input_ids"].count(tokenizer.bos_token_id) == 1
    prompt = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, tokenize=False)
    assert tokenizer.apply_chat_template(messages, tokenize=False).startswith(prompt)


def test_a_tokenizer_needs_room_for_the_bytes_and_texts_to_train_on():
    with pytest.raises(UserError, match=f"at least {SMALLEST}"):
        train_bpe(TEXTS, SMALLEST - 1)
    with pytest.raises(UserError, match="needs texts"):
        Scratch().load(seed=0)
    with pytest.raises(UserError, match="model.tokenizer=/no/where: there is no such folder"):
        Scratch(tokenizer="/no/where").load(seed=0)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"hidden": 30, "heads": 4}, "hidden must be a multiple"),
        ({"kv_heads": 3}, "kv_heads must divide"),
        ({"model_type": "gpt2", "kv_heads": 2}, "kv_heads must be null or"),
        ({"intermediate": 0}, "intermediate must be at least 1"),
    ],
)
def test_sizes_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        Scratch(**values)
