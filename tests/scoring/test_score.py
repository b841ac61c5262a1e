"""Both paths against the naive one: values, gradients, padding, support."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from xpo.adapter.lora import Lora
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support

VOCABULARY = 40

PATHS = ("shared", "plain")


@pytest.mark.parametrize("path", PATHS)
def test_values_are_those_of_whole_rows(path, model, rows, batch_of, naive):
    batch = batch_of(rows)
    with torch.no_grad():
        got, expected = Scoring(path)(model, batch), naive(model, rows, batch.mask_BKT)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert got[~batch.mask_BKT].eq(0).all()


@pytest.mark.parametrize("path", PATHS)
def test_eager_attention_gives_the_same(path, model_of, rows, batch_of, naive):
    model = model_of("llama", attention="eager")
    batch = batch_of(rows)
    with torch.no_grad():
        torch.testing.assert_close(
            Scoring(path)(model, batch), naive(model, rows, batch.mask_BKT), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("path, chunk", [("shared", 1), ("shared", 2**25), ("plain", 3 * VOCABULARY)])
def test_gradients_are_those_of_whole_rows(path, chunk, model, rows, batch_of, naive):
    batch = batch_of(rows)
    direction = torch.randn(batch.mask_BKT.shape, generator=torch.Generator().manual_seed(1))
    (Scoring(path, chunk)(model, batch) * direction).sum().backward()
    got = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    (naive(model, rows, batch.mask_BKT) * direction).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("path", PATHS)
def test_prompt_log_probs_come_from_the_same_pass(path, model, rows, batch_of):
    batch = batch_of(rows, prompt_edges=True)
    with torch.no_grad():
        logp_BKT, prompt_logp_BP = Scoring(path).with_prompt(model, batch)
        torch.testing.assert_close(logp_BKT, Scoring(path)(model, batch_of(rows)), atol=1e-5, rtol=0)
        torch.testing.assert_close(logp_BKT, Scoring(path)(model, batch), atol=1e-5, rtol=0)
        for b, (prompt, _) in enumerate(rows):
            logits = model(input_ids=torch.tensor([prompt])).logits[0]
            for i in range(1, len(prompt)):
                expected = logits[i - 1].log_softmax(-1)[prompt[i]]
                torch.testing.assert_close(prompt_logp_BP[b, i], expected, atol=1e-5, rtol=0)
            assert prompt_logp_BP[b, 0] == 0
            assert prompt_logp_BP[b, len(prompt) :].eq(0).all()


def test_prompt_log_probs_need_prompt_edges(model, rows, batch_of):
    with pytest.raises(ValueError, match="prompt_edges=True"):
        Scoring().with_prompt(model, batch_of(rows))


@pytest.mark.parametrize("path", PATHS)
def test_what_stands_in_the_padding_does_not_matter(path, model, rows, batch_of):
    with torch.no_grad():
        first, second = (Scoring(path)(model, batch_of(rows, pad_id=pad)) for pad in (0, 33))
    assert torch.equal(first, second)


@pytest.mark.parametrize("path", PATHS)
def test_a_row_scores_the_same_alone_and_in_company(path, model, rows, batch_of):
    with torch.no_grad():
        together = Scoring(path)(model, batch_of(rows))
        for b, row in enumerate(rows):
            alone = Scoring(path)(model, batch_of([row]))[0]
            torch.testing.assert_close(together[b, : len(alone), : alone.shape[1]], alone, atol=1e-5, rtol=0)


def test_a_wrong_end_or_position_is_seen_by_these_tests(model, batch_of):
    """The mask and the positions do matter: break either and the log-probs move."""
    batch = batch_of([([1, 5], [[7, 8, 9, 2], [11, 12, 2]])])
    packed = batch.packed
    causal = dataclasses.replace(packed, end_BS=torch.full_like(packed.end_BS, packed.end_BS.shape[1]))
    counted = dataclasses.replace(packed, position_BS=torch.arange(packed.end_BS.shape[1])[None])
    with torch.no_grad():
        right = Scoring()(model, batch)
        for broken in (causal, counted):
            wrong = Scoring()(model, dataclasses.replace(batch, packed=broken))
            assert (wrong - right).abs().max() > 1e-3


def enumerated() -> tuple[list[list[int]], Support]:
    """All responses of 1 to 2 symbols out of 3, 4 and 5, then EOS = 2."""
    symbols = (3, 4, 5)
    allowed_TV = torch.zeros(3, 40, dtype=torch.bool)
    allowed_TV[0, [3, 4, 5]] = True
    allowed_TV[1, [2, 3, 4, 5]] = True
    allowed_TV[2, 2] = True
    responses = [[*word, 2] for size in (1, 2) for word in itertools.product(symbols, repeat=size)]
    return responses, Support(allowed_TV)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("pruned", [True, False])
def test_under_a_support_the_enumerated_set_has_all_mass(path, pruned, model, batch_of):
    responses, support = enumerated()
    rows = [([1, 7], responses), ([1, 8, 9], responses)]
    batch = batch_of(rows, support=support) if pruned else batch_of(rows)
    with torch.no_grad():
        logp_BKT = Scoring(path, 5 * VOCABULARY, support)(model, batch)
        full_BKT = Scoring(path)(model, batch_of(rows))
    torch.testing.assert_close(logp_BKT.sum(-1).exp().sum(-1), torch.ones(2), atol=1e-5, rtol=0)
    assert logp_BKT[:, 3:, 2].eq(0).all()  # the forced end, exactly
    # renormalised over the symbols, and nothing else
    first_BS = full_BKT[:, :3, 0]
    torch.testing.assert_close(logp_BKT[:, :3, 0], first_BS.log_softmax(-1), atol=1e-5, rtol=0)


def test_a_response_outside_the_support_is_an_error(model, batch_of):
    _, support = enumerated()
    with pytest.raises(ValueError, match="token 6 may not stand at response index 1"):
        Scoring(support=support)(model, batch_of([([1], [[3, 6, 2]])]))


@pytest.mark.parametrize("path", PATHS)
def test_bfloat16_is_finite_and_near(path, model_of, rows, batch_of):
    half = model_of("llama", dtype=torch.bfloat16)
    batch = batch_of(rows)
    logp_BKT = Scoring(path)(half, batch)
    logp_BKT.sum().backward()
    assert logp_BKT.dtype == torch.float32
    assert logp_BKT.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in half.parameters())
    with torch.no_grad():
        exact = Scoring(path)(model_of("llama"), batch)
    torch.testing.assert_close(logp_BKT.detach(), exact, atol=0.3, rtol=0.05)


@pytest.mark.parametrize("path", PATHS)
def test_autocast_to_bfloat16(path, model_of, rows, batch_of):
    model, batch = model_of("llama"), batch_of(rows)
    exact = Scoring(path)(model, batch).detach()
    with torch.autocast("cpu", torch.bfloat16):
        logp_BKT = Scoring(path)(model, batch)
    logp_BKT.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(logp_BKT.detach(), exact, atol=0.3, rtol=0.05)


def test_adapters_on_and_off(model, rows, batch_of):
    batch = batch_of(rows)
    with torch.no_grad():
        before = Scoring()(model, batch)
    policy = Lora(r=2).apply(model, seed=0)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        for path in PATHS:
            assert (Scoring(path)(policy, batch) - before).abs().max() > 1e-3
            with policy.disable_adapter():
                torch.testing.assert_close(Scoring(path)(policy, batch), before, atol=1e-5, rtol=0)
    Scoring()(policy, batch).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in policy.parameters())


def test_chunks_below_one_are_refused():
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        Scoring(chunk=0)
