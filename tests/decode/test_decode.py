"""Guided samples and searches against all responses of an enumerable world."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.decode.guided import Guided, mixture
from xpo.decode.next_token import NextToken, allowed
from xpo.decode.search import Beam, likelihood_search, reward_search
from xpo.gold import tokens
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.scoring.score import Scoring

WORLD = World(prompts=2, symbols=4, max_symbols=3)
PROMPT = WORLD.prompt_ids[0]
ENDS = frozenset({tokens.EOS_ID})


@pytest.fixture(scope="module")
def support() -> Any:
    return WORLD.support()


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    """A policy and a reference, far from each other."""
    found = []
    for seed in (0, 1):
        model = Scratch(hidden=16, heads=2, layers=2).load(seed=seed, tokenizer=WORLD.tokenizer()).model
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        found.append(model)
    return found[0], found[1]


@pytest.fixture(scope="module")
def exact(models: Any, support: Any) -> tuple[Tensor, Tensor]:
    """log p of every response to the prompt."""
    scoring = Scoring(support=support)
    policy, reference = (exact_logp(model, scoring, world_batch(WORLD))[0] for model in models)
    return policy, reference


def enumerated(policy: Any, processor: Any, support: Any) -> dict[tuple[int, ...], float]:
    """log p of every response that ``generate`` could give with this processor, prefix by prefix."""
    prefixes, found = {(): 0.0}, {}
    for index in range(WORLD.max_symbols + 1):
        rows = list(prefixes)
        ids_BS = torch.tensor([[*PROMPT, *row] for row in rows])
        with torch.no_grad():
            logits_BV = allowed(policy(input_ids=ids_BS).logits[:, -1], support, index)
            logp_BV = processor(ids_BS, logits_BV).double().log_softmax(-1)
        grown = {}
        for row, logp_V in zip(rows, logp_BV, strict=True):
            for token in (logp_V > -torch.inf).nonzero().flatten().tolist():
                value = prefixes[row] + logp_V[token].item()
                (found if token in ENDS else grown)[(*row, token)] = value
        prefixes = grown
    assert not prefixes
    return found


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.4, 2.0, -0.5])
def test_guided_samples_are_those_of_the_mixture(weight, models, exact, support):
    policy, reference = models
    found = enumerated(policy, Guided(reference, weight), support)
    assert set(found) == set(WORLD.response_ids)
    got = torch.tensor([found[response] for response in WORLD.response_ids], dtype=torch.float64)
    torch.testing.assert_close(got.exp().sum(), torch.tensor(1.0).double(), atol=1e-6, rtol=0)
    if weight in (0.0, 1.0):
        torch.testing.assert_close(got, exact[0 if weight else 1], atol=1e-4, rtol=1e-4)
        return
    first = {}  # the first token by hand: ref^(1 - w) policy^w over the prefix's symbols
    for logp, name in zip(models, ("policy", "reference"), strict=True):
        with torch.no_grad():
            first[name] = allowed(logp(input_ids=torch.tensor([PROMPT])).logits[:, -1], support, 0)[0].exp()
    product = first["reference"] ** (1 - weight) * first["policy"] ** weight
    product[first["policy"] == 0] = 0
    expected = product / product.sum()
    symbol = tokens.FIRST_SYMBOL + 2
    share = sum(torch.tensor(v).exp().item() for row, v in found.items() if row[0] == symbol)
    assert share == pytest.approx(expected[symbol].item(), rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 1.0, 1.7])
def test_generate_draws_from_it(weight, models, support):
    policy, reference = models
    processor, count = Guided(reference, weight), 3000

    def restrict(ids_BS: Tensor, logits_BV: Tensor) -> Tensor:
        return allowed(logits_BV, support, ids_BS.shape[1] - len(PROMPT))

    torch.manual_seed(0)
    drawn = policy.generate(
        input_ids=torch.tensor([PROMPT] * count),
        attention_mask=torch.ones(count, len(PROMPT), dtype=torch.long),
        logits_processor=[restrict, processor],
        do_sample=True,
        top_k=0,
        max_new_tokens=WORLD.max_symbols + 1,
        eos_token_id=tokens.EOS_ID,
        pad_token_id=tokens.PAD_ID,
    )[:, len(PROMPT) :].tolist()
    found = enumerated(policy, Guided(reference, weight), support)
    shares = dict.fromkeys(found, 0.0)
    for row in drawn:
        shares[tuple(row[: row.index(tokens.EOS_ID) + 1])] += 1 / count
    distance = sum(abs(shares[row] - torch.tensor(value).exp().item()) for row, value in found.items()) / 2
    assert distance < 0.08  # 84 responses, 3000 draws


def test_a_token_that_is_ruled_out_stays_so():
    logits = torch.tensor([[0.3, -torch.inf, 1.0]])
    for weight in (0.0, 0.5, 3.0):
        found = mixture(logits, torch.tensor([[0.0, 9.0, 0.0]]), weight)
        assert found[0, 1] == -torch.inf and found.exp().sum().item() == pytest.approx(1)
    with pytest.raises(ValueError, match="3 tokens and the reference 2"):
        mixture(logits, logits[:, :2], 0.5)
    with pytest.raises(ValueError, match="weight must be finite"):
        Guided(None, float("nan"))


def test_padded_rows_and_rows_read_on_give_the_same(models):
    _, model = models
    short, long = list(WORLD.prompt_ids[0]), [*WORLD.prompt_ids[1], 4, 5]
    padded = torch.tensor([[tokens.PAD_ID] * 2 + short, long])
    reader = NextToken(model, tokens.PAD_ID)
    together = reader(padded)
    for row, ids in zip(together, (short, long), strict=True):
        torch.testing.assert_close(row, NextToken(model)(torch.tensor([ids]))[0], atol=1e-5, rtol=1e-4)
    further = torch.tensor([[3], [6]])
    read_on = reader(torch.cat([padded, further], 1))
    for row, ids in zip(read_on, ([*short, 3], [*long, 6]), strict=True):
        torch.testing.assert_close(row, NextToken(model)(torch.tensor([ids]))[0], atol=1e-5, rtol=1e-4)
    order = torch.tensor([1, 1, 0])
    reader.keep(order)
    rows = torch.cat([torch.cat([padded, further], 1)[order], torch.tensor([[5], [4], [3]])], 1)
    expected = NextToken(model, tokens.PAD_ID)(rows)
    torch.testing.assert_close(reader(rows), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("by", ["likelihood", "reward"])
def test_a_full_width_finds_the_best_of_all(by, models, exact, support):
    policy, reference = models
    beam = Beam(ENDS, width=WORLD.size, max_new_tokens=WORLD.max_symbols + 1, support=support)
    if by == "likelihood":
        found, value_N = likelihood_search(PROMPT, policy, beam), exact[0]
    else:
        found, value_N = reward_search(PROMPT, policy, reference, 0.3, beam), 0.3 * (exact[0] - exact[1])
    assert len(found) == WORLD.size and all(item.finished for item in found)
    order = value_N.argsort(descending=True).tolist()
    assert found[0].tokens == WORLD.response_ids[order[0]]
    got = {item.tokens: item.value for item in found}
    for response, value in zip(WORLD.response_ids, value_N.tolist(), strict=True):
        assert got[response] == pytest.approx(value, abs=1e-4)
    assert [item.value for item in found] == sorted((item.value for item in found), reverse=True)


def test_a_narrow_beam_is_greedy(models, support):
    policy, _ = models
    beam = Beam(ENDS, width=1, max_new_tokens=4, support=support)
    (found,) = likelihood_search(PROMPT, policy, beam)
    wider = likelihood_search(PROMPT, policy, Beam(ENDS, width=5, max_new_tokens=4, support=support))
    assert len(wider) == 5 and wider[0].value >= found.value - 1e-5


def test_what_is_cut_is_not_finished(models, support):
    found = likelihood_search(PROMPT, models[0], Beam(ENDS, width=30, max_new_tokens=2, support=support))
    assert {len(item.tokens) for item in found if item.finished} == {2}
    assert {item.finished for item in found} == {True, False}


def test_only_likely_tokens_are_tried(models, exact, support):
    policy, reference = models
    beam = Beam(ENDS, width=100, max_new_tokens=4, top_k=1, support=support)
    found = reward_search(PROMPT, policy, reference, 1.0, beam)
    ids_BS = torch.tensor([PROMPT])
    with torch.no_grad():
        likeliest = allowed(policy(input_ids=ids_BS).logits[:, -1], support, 0).argmax().item()
    assert [item.tokens[0] for item in found] == [likeliest]


def test_ranges(models, support):
    for bad in ({"width": 0}, {"max_new_tokens": 0}, {"top_k": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be at least 1"):
            Beam(ENDS, **bad)
    with pytest.raises(ValueError, match="at least one token"):
        Beam(frozenset())
