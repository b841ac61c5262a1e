"""A local model's options beside its own logits, and its answers beside a loop of single tokens."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.data.conftest import byte_bpe
from tests.judge.local_models import begun, policy, templated, user
from xpo.contracts import Row
from xpo.data.record import Message
from xpo.errors import UserError
from xpo.judge import local as module
from xpo.judge.local import LocalBackend
from xpo.run.samples import Policy
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support

DIGITS = [str(number) for number in range(1, 11)]
# no split into words: "=1" and ": A" become one token each, "=2" and ": B" do not
MERGING = byte_bpe(["score=1", "score=1", "Assistant: A"] * 9, split=False)


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
