"""Where response tokens themselves stand, and that their states are the model's own."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.contracts import Batch, Row, StepTotals
from xpo.data.collate import Collator
from xpo.scoring.pack import TokenRow, pack
from xpo.scoring.score import Scoring
from xpo.scoring.states import token_states
from xpo.scoring.support import Support


def drawn_rows(seed: int) -> list[TokenRow]:
    """Ragged lists with many shared prefixes, one response the prefix of another among them."""
    rng = random.Random(seed)
    rows: list[TokenRow] = []
    for _ in range(4):
        prompt = [rng.randrange(1, 9) for _ in range(rng.randrange(1, 5))]
        responses = [
            [rng.randrange(3, 6) for _ in range(rng.randrange(1, 6))] for _ in range(rng.randrange(1, 5))
        ]
        rows.append((prompt, [*responses, [*responses[0], 4]]))
    return rows


def naive_states(model: Any, rows: Sequence[TokenRow], mask_BKT: Tensor) -> Tensor:
    """The state at each response token, from one unpadded row of its own through the decoder; BKTD."""
    found = torch.zeros(*mask_BKT.shape, model.config.hidden_size)
    for b, (prompt, responses) in enumerate(rows):
        for k, response in enumerate(responses):
            hidden_SD = model.base_model(input_ids=torch.tensor([[*prompt, *response]])).last_hidden_state[0]
            found[b, k, : len(response)] = hidden_SD[len(prompt) :]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_response_token_stands_where_its_ancestors_spell_it(seed: int) -> None:
    rows = drawn_rows(seed)
    packed, mask_BKT = pack(rows, pad_id=0, whole=True)
    assert packed.node_BKT is not None
    width = packed.input_ids_BS.shape[1]
    for b, (prompt, responses) in enumerate(rows):
        ids, end = packed.input_ids_BS[b].tolist(), packed.end_BS[b].tolist()
        prefixes = {tuple(r[: t + 1]) for r in responses for t in range(len(r))}
        assert end[0] == len(prompt) + len(prefixes), "every prefix is fed once, the whole responses too"
        for k, response in enumerate(responses):
            for t in range(len(response)):
                node = int(packed.node_BKT[b, k, t]) - b * width
                seen = [i for i in range(node + 1) if node < end[i]]
                assert [ids[i] for i in seen] == [*prompt, *response[: t + 1]]
                assert int(packed.position_BS[b, node]) == len(prompt) + t
    assert bool((packed.node_BKT[~mask_BKT] == 0).all())


def test_edges_are_those_of_a_pack_that_is_not_whole() -> None:
    rows = drawn_rows(7)
    plain, _ = pack(rows, pad_id=0)
    whole, _ = pack(rows, pad_id=0, whole=True)
    assert whole.edge_token_E.tolist() == plain.edge_token_E.tolist()
    assert whole.edge_BKT.tolist() == plain.edge_BKT.tolist()
    assert plain.node_BKT is None


def test_a_forced_tail_is_fed_too_where_rows_are_whole() -> None:
    """t = 0 and 1 are free, everything after is one token: a head reads what stands behind the last."""
    allowed_TV = torch.zeros(3, 8, dtype=torch.bool)
    allowed_TV[0, 3:] = allowed_TV[1, 2:] = allowed_TV[2, 2] = True
    packed, _ = pack([([1], [[3, 4, 2], [3, 2]])], pad_id=0, support=Support(allowed_TV), whole=True)
    assert packed.input_ids_BS.tolist() == [[1, 3, 2, 4, 2]]
    assert packed.node_BKT is not None
    assert packed.node_BKT.tolist() == [[[1, 3, 4], [1, 2, 0]]]


@pytest.mark.parametrize("path", ["shared", "plain"])
@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_states_are_the_models_own(
    shape: str, path: Any, model_of: Callable[..., Any], batch_of: Callable[..., Batch]
) -> None:
    model, rows = model_of(shape), drawn_rows(1)
    batch = batch_of(rows, whole=True)
    with torch.no_grad():
        states = token_states(Scoring(path=path), model, batch)
        expected_BKTD = naive_states(model, rows, batch.mask_BKT)
    mask = batch.mask_BKT
    torch.testing.assert_close(states.tokens()[mask], expected_BKTD[mask], rtol=1e-4, atol=1e-5)
    last_BKD = states.last(batch)
    for b, (_, responses) in enumerate(rows):
        for k, response in enumerate(responses):
            torch.testing.assert_close(
                last_BKD[b, k], expected_BKTD[b, k, len(response) - 1], rtol=1e-4, atol=1e-5
            )


def _collated(rows: Sequence[Row]) -> Batch:
    """With EOS as padding, as GPT-2's tokenizers have it."""
    return Collator(pad_id=2, whole=True)(rows, range(len(rows)), StepTotals(float(len(rows)), 1.0, 1))


def test_the_last_token_is_found_by_the_mask_and_by_no_pad_id(model_of: Callable[..., Any]) -> None:
    """Responses end in EOS, which pads too, or were cut before it; one trains from its third token on."""
    rows = [Row([1, 5], [[7, 2, 2], [8, 9]]), Row([1], [[6, 6, 7, 2], [6, 6, 3, 4]], skip=2)]
    model, batch = model_of("llama"), _collated(rows)
    with torch.no_grad():
        last_BKD = token_states(Scoring(), model, batch).last(batch)
        expected = naive_states(model, [(r.prompt, r.responses) for r in rows], batch.token_BKT)
    for b, row in enumerate(rows):
        for k, response in enumerate(row.responses):
            torch.testing.assert_close(
                last_BKD[b, k], expected[b, k, len(response) - 1], rtol=1e-4, atol=1e-5
            )


def test_one_token_too_early_is_noticed(model_of: Callable[..., Any]) -> None:
    """The state that predicts the last token, read in its place, is another one: the tests above see it."""
    model, batch = model_of("llama"), _collated([Row([1, 5], [[7, 8, 2], [8, 9, 2]])])
    with torch.no_grad():
        states = token_states(Scoring(), model, batch)
        early = dataclasses.replace(batch, mask_BKT=batch.mask_BKT[:, :, :-1])
        assert (states.last(batch) - states.last(early)).abs().max() > 0.1


def test_rows_that_are_not_whole_are_refused(
    model_of: Callable[..., Any], batch_of: Callable[..., Batch]
) -> None:
    with pytest.raises(ValueError, match="pack it with whole=True"):
        token_states(Scoring(), model_of("llama"), batch_of([([1], [[2]])]))
