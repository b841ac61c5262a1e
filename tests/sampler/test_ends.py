"""Where responses end, and what top-k and top-p leave."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from tests.sampler.small import PROMPTS, gap, generator, loud, policy_of, scored
from xpo.gold import tokens
from xpo.model.scratch import Scratch
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate
from xpo.sampler.policy import Policy
from xpo.sampler.stops import Stops
from xpo.scoring.score import Scoring

TEXTS = ["red green END blue", "warm cold END of all", "ENDING is a word", "the END"]


@pytest.fixture(scope="module")
def texts() -> Policy:
    """A policy with a byte-level tokenizer of few merges."""
    loaded = Scratch(hidden=16, layers=1, heads=2, max_length=128, vocab_size=280).load(
        seed=0, texts=lambda: TEXTS
    )
    return Policy(loud(loaded.model, 0), loaded.tokenizer, Scoring())


def all_of(found: Sampled) -> list[tuple[list[int], bool]]:
    return [
        pair
        for row, done in zip(found.responses, found.finished, strict=True)
        for pair in zip(row, done, strict=True)
    ]


def test_eos_is_kept_and_ends_a_response():
    found = Generate()(policy_of(), PROMPTS, Draw(30, max_new_tokens=9), generator())
    ended = [tokens_ for tokens_, done in all_of(found) if done]
    cut = [tokens_ for tokens_, done in all_of(found) if not done]
    assert ended and cut
    assert all(r[-1] == tokens.EOS_ID and tokens.EOS_ID not in r[:-1] for r in ended)
    assert all(len(r) == 9 and tokens.EOS_ID not in r for r in cut)


def test_the_models_own_end_counts_too():
    policy = policy_of()
    policy.model.generation_config.eos_token_id = [9, 10]
    found = Generate()(policy, PROMPTS, Draw(30, max_new_tokens=9), generator())
    assert {r[-1] for r, done in all_of(found) if done} == {tokens.EOS_ID, 9, 10}


@pytest.mark.parametrize("least", [1, 4])
def test_a_response_does_not_end_too_early(least: int):
    policy = policy_of()
    draw = Draw(30, min_new_tokens=least, max_new_tokens=9)
    found = Generate()(policy, PROMPTS, draw, generator())
    lengths = {len(r) for r, done in all_of(found) if done}
    assert min(lengths) == least + 1  # EOS behind as many tokens
    free = Generate()(policy, PROMPTS, Draw(30, max_new_tokens=9), generator())
    assert min(len(r) for r, done in all_of(free) if done) == 1
    expected = scored(policy, PROMPTS, found)
    for row, logp_KT in zip(found.logps, expected, strict=True):
        for k, logps in enumerate(row):
            drawn = torch.tensor(logps)
            assert bool((drawn[:least] > logp_KT[k, :least]).all())  # EOS's mass is the others'
            assert torch.allclose(drawn[least:], logp_KT[k, least : len(logps)], atol=1e-5)


def test_no_more_tokens_than_that():
    found = Generate()(policy_of(), PROMPTS, Draw(3, max_new_tokens=1), generator())
    assert {len(r) for r, _ in all_of(found)} == {1}


def test_stop_strings_cut_behind_their_last_token(texts: Policy):
    prompts = [texts.tokenizer("red")["input_ids"], texts.tokenizer("warm cold")["input_ids"]]
    draw = Draw(20, max_new_tokens=40, stop=("E", "ld"))
    found = Generate()(texts, prompts, draw, generator())
    decode = texts.tokenizer.decode
    stopped = [r for r, done in all_of(found) if done and r[-1] not in texts.ends]
    assert len(stopped) > 3
    for response in stopped:
        assert any(s in decode(response) for s in draw.stop)
        assert not any(s in decode(response[:-1]) for s in draw.stop)
    for response, done in all_of(found):
        assert done or (len(response) == 40 and not any(s in decode(response) for s in draw.stop))
    assert gap(found, scored(texts, prompts, found)) < 1e-5
    small = Generate()(texts, prompts, Draw(20, max_new_tokens=40, stop=("E", "ld"), tokens=1), generator())
    assert small.responses == found.responses


STOPS: dict[str, tuple[str, tuple[str, ...], int, str | None]] = {
    "spans tokens": ("red END blue", ("D b",), 0, "red END b"),
    "the first of several": ("red END blue", ("blue", "ND"), 0, "red END"),
    "not there": ("red END blue", ("green",), 0, None),
    "over before it may count": ("ENDING is a END", ("END",), 5, "ENDING is a END"),
    "at the beginning": ("END of all", ("END",), 0, "END"),
}


@pytest.mark.parametrize("case", STOPS)
def test_stop_strings_by_hand(case: str, texts: Policy):
    text, stop, least, kept = STOPS[case]
    ids: Sequence[int] = texts.tokenizer(text, add_special_tokens=False)["input_ids"]
    response, done = Stops(texts.tokenizer, Draw(stop=stop, min_new_tokens=least), texts.ends).cut(ids)
    told = texts.tokenizer.decode(response)
    assert done == (kept is not None)
    assert told.startswith(kept or text) and len(told) - len(kept or text) < 3  # the token may hold more


def test_eos_before_and_behind_a_stop_string(texts: Policy):
    end = texts.tokenizer.eos_token_id
    ids = texts.tokenizer("red END", add_special_tokens=False)["input_ids"]
    stops = Stops(texts.tokenizer, Draw(stop=("END",)), texts.ends)
    assert stops.cut([ids[0], end, *ids]) == ([ids[0], end], True)
    assert stops.cut([*ids, end]) == (ids, True)


@pytest.mark.parametrize(
    "draw", [{"top_k": 3}, {"top_p": 0.6}, {"top_k": 4, "top_p": 0.7, "temperature": 0.8}]
)
def test_what_is_cut_off_leaves_its_mass_to_the_rest(draw: dict[str, float]):
    policy, prompt = policy_of(), PROMPTS[0]
    found = Generate()(policy, [prompt], Draw(3000, max_new_tokens=1, **draw), generator())  # pyright: ignore
    seen = {r[0]: logps[0] for r, logps in zip(found.responses[0], found.logps[0], strict=True)}
    with torch.no_grad():
        logits_V = policy.model(input_ids=torch.tensor([prompt])).logits[0, -1] / draw.get("temperature", 1)
    order = logits_V.argsort(descending=True).tolist()
    kept = order[: int(draw.get("top_k", len(order)))]
    mass = logits_V[kept].softmax(0).cumsum(0)
    kept = kept[: 1 + int((mass < draw.get("top_p", 2)).sum())]
    assert set(seen) == set(kept) and 1 < len(kept) < 10
    torch.testing.assert_close(
        torch.tensor([seen[v] for v in kept]), logits_V[kept].log_softmax(0), atol=1e-5, rtol=0
    )
    assert torch.tensor(list(seen.values())).exp().sum().item() == pytest.approx(1, abs=1e-5)
