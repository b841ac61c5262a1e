"""A local model's options beside its own logits, and its answers beside a loop of single tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.data.conftest import byte_bpe
from xpo.contracts import Row
from xpo.data.record import Message
from xpo.errors import UserError
from xpo.judge import local as module
from xpo.judge.backend import Draw
from xpo.judge.local import LocalBackend
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.run.samples import Policy
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support

DIGITS = [str(number) for number in range(1, 11)]
# no split into words: "=1" and ": A" become one token each, "=2" and ": B" do not
MERGING = byte_bpe(["score=1", "score=1", "Assistant: A"] * 9, split=False)


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def begun(text: str, start: str) -> tuple[Message, ...]:
    return (*user(text), Message("assistant", start))


def policy(tokenizer: Any, seed: int = 3, path: Any = "shared") -> Policy:
    model = Scratch(hidden=16, layers=2, heads=2, max_length=96).build(tokenizer, seed)
    with torch.no_grad():  # far from uniform, so that a wrong token or position shows
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)) * 0.3)
    return Policy(model, tokenizer, Scoring(path=path))


def templated() -> Any:
    return train_bpe(["the cat sat on the mat", "10 and 1"] * 4, 290)


def text_logp(p: Policy, text: str) -> float:
    """log p of a whole text token by token, from the model's own logits of each prefix."""
    ids = p.tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids[0] != p.tokenizer.bos_token_id:
        ids = [p.tokenizer.bos_token_id, *ids]
    total = 0.0
    with torch.no_grad():
        for end in range(1, len(ids)):
            logits = p.model(input_ids=torch.tensor([ids[:end]])).logits[0, -1].double()
            total += float(logits[ids[end]] - logits.logsumexp(0))
    return total


def oracle(p: Policy, head: str, options: list[str]) -> list[float]:
    """Whole texts beside each other: what they share cancels, wherever a token ends."""
    mass = {option: text_logp(p, head + option) for option in options}
    top = max(mass.values())
    mass = {option: float(torch.tensor(value - top).double().exp()) for option, value in mass.items()}
    if {"1", "10"} <= set(options):
        mass["1"] -= mass["10"]
    return [value / sum(mass.values()) for value in mass.values()]


def check(p: Policy, conversation: tuple[Message, ...], head: str, options: list[str]) -> None:
    found = next(LocalBackend(p).options([conversation], options))
    assert sum(found) == pytest.approx(1, abs=1e-9)
    assert list(found) == pytest.approx(oracle(p, head, options), abs=2e-6)


CASES = {
    "template, long option": (templated(), user("say"), "<|bos|><|user|>say<|assistant|>"),
    "template, begun": (templated(), begun("q", "the "), "<|bos|><|user|>q<|assistant|>the "),
    "transcript": (MERGING, user("say"), "Human: say\n\nAssistant: "),
    "merge over the boundary": (MERGING, begun("say", "score="), "Human: say\n\nAssistant: score="),
}
OPTIONS = {"digits": DIGITS, "words": ["A", "B", "on the mat"], "one in another": ["1", "10", "2"]}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("tokenizer", "conversation", "head"), CASES.values(), ids=CASES)
def test_options_are_the_models_own_probabilities(tokenizer, conversation, head, options):
    check(policy(tokenizer), conversation, head, options)


def test_the_cases_have_what_they_are_for():
    def ids(text: str) -> list[int]:
        return MERGING(text, add_special_tokens=False)["input_ids"]

    for start, merged, other in (("score=", "1", "2"), ("Assistant: ", "A", "B")):
        assert ids(start + merged)[: len(ids(start))] != ids(start)
        assert ids(start + other)[: len(ids(start))] == ids(start)
    assert len(templated()("10", add_special_tokens=False)["input_ids"]) == 2


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_batches_change_nothing(path):
    p = policy(templated(), path=path)
    asked = [user("cat " * (i % 5)) for i in range(9)] + [begun("q", "the ")]
    together = list(LocalBackend(p, tokens=10**6).options(asked, ["a", "on the", "mat"]))
    alone = [next(LocalBackend(p, tokens=1).options([one], ["a", "on the", "mat"])) for one in asked]
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone), atol=1e-5, rtol=0)
    assert len({tuple(round(share, 6) for share in one) for one in together}) >= 5


class Apart(LocalBackend):
    """Prompt and option tokenised each on its own."""

    def _row(self, conversation, options):
        row = super()._row(conversation, options)
        start, glue = "Human: say\n\nAssistant: score=", ""
        encode = self._policy.tokenizer
        ids = [
            encode(text, add_special_tokens=False)["input_ids"]
            for text in (start, *(glue + o for o in options))
        ]
        return dataclasses.replace(row, prompt=[encode.bos_token_id, *ids[0]], responses=ids[1:])


class FirstToken(LocalBackend):
    """Reads the first token of an option alone."""

    def _row(self, conversation, options):
        row = super()._row(conversation, options)
        return Row(row.prompt, [[*response[:1], k] for k, response in enumerate(row.responses)])


def plain_softmax(logp, tokens):
    return tuple(torch.tensor(logp).double().softmax(0).tolist())


def mean_per_token(logp, tokens):
    return plain_softmax([value / len(ids) for value, ids in zip(logp, tokens, strict=True)], tokens)


@pytest.mark.parametrize("broken", [Apart, FirstToken, plain_softmax, mean_per_token])
def test_broken_variants_are_caught(monkeypatch, broken):
    tokenizer, conversation, head = CASES["merge over the boundary"]
    if isinstance(broken, type):
        monkeypatch.setattr(f"{__name__}.LocalBackend", broken)
    else:
        monkeypatch.setattr(module, "shares", broken)
    with pytest.raises(AssertionError):
        check(policy(tokenizer), conversation, head, OPTIONS["one in another"])


def test_the_shorter_of_two_options_has_what_does_not_go_on_as_the_longer():
    logs = torch.tensor([0.4, 0.3, 0.25, 0.2]).log().tolist()
    tokens = [[7], [7, 8], [9], [7, 8, 9]]  # of 0.4, 0.3 goes on with 8, of which 0.2 with 9
    assert module.shares(logs, tokens) == pytest.approx([0.1 / 0.65, 0.1 / 0.65, 0.25 / 0.65, 0.2 / 0.65])


@pytest.mark.parametrize("options", [["A"], ["A", "A"], ["A", ""], []])
def test_options_that_are_none(options):
    with pytest.raises(ValueError, match="two or more texts, none empty or twice"):
        next(LocalBackend(policy(templated())).options([user("q")], options))


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


def test_an_enumerable_worlds_model_is_refused():
    p = policy(templated())
    support = Support(torch.ones(2, len(p.tokenizer), dtype=torch.bool))
    with pytest.raises(UserError, match="enumerable world"):
        LocalBackend(dataclasses.replace(p, scoring=Scoring(support=support)))


def test_the_fingerprint_is_of_weights_tokenizer_and_template(tmp_path):
    tokenizer = templated()
    first, same, other = (LocalBackend(policy(tokenizer, seed)) for seed in (3, 3, 4))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    bare = templated()
    bare.chat_template = None
    assert LocalBackend(policy(bare)).fingerprint != first.fingerprint


def test_a_folder_is_the_same_model(tmp_path):
    from xpo.model.hf import HuggingFace

    p = policy(templated())
    for part in (p.model, p.tokenizer):
        part.save_pretrained(tmp_path)
    loaded = LocalBackend.load(HuggingFace(str(tmp_path)), "annotator.path", device="cpu")
    assert loaded.fingerprint == LocalBackend(p).fingerprint
    assert next(loaded.options([user("q")], ["A", "B"])) == next(
        LocalBackend(p).options([user("q")], ["A", "B"])
    )


def test_words_that_a_tokenizer_only_adds_are_left_alone():
    tokenizer = templated()
    tokenizer.add_tokens(["  ", "<think>"])  # GPT-NeoX adds runs of spaces
    assert module.head(user("a  b <think>"), tokenizer).text == "<|bos|><|user|>a  b <think><|assistant|>"
