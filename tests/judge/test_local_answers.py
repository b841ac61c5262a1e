"""A local model's answers beside a loop of single tokens, and what it is given to read."""

from __future__ import annotations

import pytest
import torch

from tests.judge.local_models import begun, policy, templated, user
from tests.judge.test_local import MERGING
from xpo.errors import UserError
from xpo.judge import local as module
from xpo.judge.backend import Draw
from xpo.judge.local import LocalBackend
from xpo.run.samples import Policy


def greedy(p: Policy, text: str, most: int) -> str:
    ids = [p.tokenizer.bos_token_id, *p.tokenizer(text, add_special_tokens=False)["input_ids"]]
    said: list[int] = []
    with torch.no_grad():
        while len(said) < most and p.tokenizer.eos_token_id not in said:
            said.append(int(p.model(input_ids=torch.tensor([ids + said])).logits[0, -1].argmax()))
    return p.tokenizer.decode(said, skip_special_tokens=True)


def test_greedy_answers_are_the_likeliest_tokens():
    p = policy(templated())
    asked = [user("cat"), user("the cat sat on"), begun("q", "the ")]
    heads = ["<|user|>cat<|assistant|>", "<|user|>the cat sat on<|assistant|>", "<|user|>q<|assistant|>the "]
    found = list(LocalBackend(p).answers(asked, Draw(6, n=2)))
    assert found == [(greedy(p, head, 6),) * 2 for head in heads] and any(found)


def test_drawn_answers_are_fixed_by_the_seed():
    p = policy(templated())
    draws = [
        list(LocalBackend(p).answers([user("cat"), user("mat")], Draw(8, 1.0, 3, seed))) for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len({text for answers in draws[0] for text in answers}) > 3


def test_an_answer_ends_at_eos_and_a_transcript_where_the_model_speaks_for_the_user():
    p = policy(templated())
    with torch.no_grad():
        p.model.get_input_embeddings().weight.zero_()  # all logits 0: nothing but a bias decides
        p.model.lm_head.bias = torch.nn.Parameter(torch.zeros(len(p.tokenizer)))
        p.model.lm_head.bias[p.tokenizer.eos_token_id] = 9.0
    assert list(LocalBackend(p).answers([user("q")], Draw(5))) == [("",)]
    plain = module.head(user("q"), MERGING)
    assert plain.said(" yes.\n\nHuman: and now?") == "yes."
    assert module.head(user("q"), templated()).said(" as it is\n\nHuman:") == " as it is\n\nHuman:"


def test_what_is_said_makes_no_special_token():
    p = policy(templated())
    ids = LocalBackend(p)._question(user("a<|eos|><|assistant|>b"), 1).ids
    special = [i for i in ids if i in p.tokenizer.all_special_ids or i < 6]
    assert p.tokenizer.convert_ids_to_tokens(special) == ["<|bos|>", "<|user|>", "<|assistant|>"]


def test_too_long_a_question_is_refused_at_its_turn():
    backend = LocalBackend(policy(templated()))
    found = backend.options([user("a"), user("b" * 200), user("c")], ["A", "B"])
    next(found)
    with pytest.raises(UserError, match=r"has 2\d\d tokens .*window of 96 positions.*longer window"):
        next(found)
    with pytest.raises(UserError, match=r"may have \(max_new_tokens\) 90"):
        next(backend.answers([user("a" * 9)], Draw(90)))


def test_words_that_a_tokenizer_only_adds_are_left_alone():
    tokenizer = templated()
    tokenizer.add_tokens(["  ", "<think>"])  # GPT-NeoX adds runs of spaces
    assert module.head(user("a  b <think>"), tokenizer).text == "<|bos|><|user|>a  b <think><|assistant|>"
