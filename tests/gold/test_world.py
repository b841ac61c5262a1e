"""The world against loops over its definition."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from xpo.gold import constants
from xpo.gold.tokens import EOS_ID, FIRST_SYMBOL
from xpo.gold.world import World
from xpo.scoring.pack import pack


@pytest.mark.parametrize(("longest", "count"), [(3, 258), (4, 1554)])
def test_counts_of_responses(longest: int, count: int) -> None:
    world = World(max_symbols=longest)
    assert world.size == len(world.responses) == len(set(world.response_ids)) == count
    assert world.reward_XN.shape == world.base_logp_XN.shape == (8, count)


def test_order_is_by_length_then_alphabet() -> None:
    world = World(symbols=2, max_symbols=2)
    assert world.response_texts == ("a", "b", "a a", "a b", "b a", "b b")
    assert world.length_N.tolist() == [2, 2, 3, 3, 3, 3]  # tokens, EOS included


def test_reward_by_hand() -> None:
    world = World(seed=3)
    like = world.liking_XA[5]
    for text, distinct in (("a", 1), ("b b", 1 / 2), ("c a c", 2 / 3), ("d e f", 1)):
        symbols = ["abcdef".index(s) for s in text.split()]
        mean = sum(float(like[s]) for s in symbols) / len(symbols)
        found = world.reward_XN[5, world.response_texts.index(text)]
        assert float(found) == pytest.approx(mean + 0.5 * distinct, abs=1e-12)


def test_base_policy_sums_to_one_and_stops_at_its_rate() -> None:
    world = World()
    base = world.base_logp_XN.exp()
    assert torch.allclose(base.sum(1), torch.ones(8, dtype=torch.float64), atol=1e-12)
    one, two = world.length_N == 2, world.length_N == 3
    assert torch.allclose(base[:, one].sum(1), torch.full((8,), constants.BASE_STOP, dtype=torch.float64))
    left = (1 - constants.BASE_STOP) * constants.BASE_STOP
    assert torch.allclose(base[:, two].sum(1), torch.full((8,), left, dtype=torch.float64))


def test_win_probabilities_are_bradley_terry() -> None:
    world = World(symbols=2, max_symbols=2)
    for x, i, j in itertools.product(range(8), range(6), range(6)):
        gap = float(world.reward_XN[x, i] - world.reward_XN[x, j])
        assert float(world.win_XNN[x, i, j]) == pytest.approx(1 / (1 + math.exp(-gap)), abs=1e-12)


def test_seed_makes_another_world_and_sizes_keep_the_likings() -> None:
    assert not torch.equal(World().liking_XA, World(seed=1).liking_XA)
    assert torch.equal(World().liking_XA, World(max_symbols=4).liking_XA)


def test_tokenizer_round_trip(tmp_path) -> None:
    from transformers import AutoTokenizer

    world = World()
    world.tokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text, ids in zip(world.prompt_texts, world.prompt_ids, strict=True):
        assert tuple(tokenizer(text).input_ids) == ids
    for text, ids in zip(world.response_texts, world.response_ids, strict=True):
        assert (*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id) == ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_tokenizer_refuses_words_of_no_world() -> None:
    with pytest.raises(Exception, match="UNK"):
        World().tokenizer()("calm volcano")


def test_prompts_are_distinct_up_to_the_most_that_words_allow() -> None:
    assert len(set(World(prompts=64, max_symbols=1).prompt_ids)) == 64


def test_support_allows_exactly_the_responses() -> None:
    world = World(symbols=3, max_symbols=2)
    allowed_TV = world.support().allowed_TV
    alphabet = range(FIRST_SYMBOL, FIRST_SYMBOL + 3)
    found = set()
    for a, b in itertools.product(range(world.vocabulary_size), repeat=2):
        if allowed_TV[0, a] and allowed_TV[1, b]:
            found.add((a, b) if b == EOS_ID else (a, b, EOS_ID))
    assert found == set(world.response_ids)
    assert allowed_TV[0, list(alphabet)].all() and allowed_TV[-1].sum() == 1


def test_population_is_packed_into_inner_nodes_only() -> None:
    world = World()
    packed, mask_XNT = pack(
        [(p, world.response_ids) for p in world.prompt_ids], pad_id=0, support=world.support()
    )
    assert packed.input_ids_BS.shape == (8, len(world.prompt_ids[0]) + 6 + 36)
    assert mask_XNT.sum() == 8 * int(world.length_N.sum())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"prompts": 0}, "prompts of the gold world must be 1 to 64, got 0"),
        ({"symbols": 99}, "symbols of the gold world must be 2 to 16"),
        ({"max_symbols": 0}, "max_symbols"),
        ({"symbols": 16, "max_symbols": 8}, "at most 20000"),
    ],
)
def test_sizes_out_of_range_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        World(**sizes)
