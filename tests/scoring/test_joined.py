"""Rows of two responses: what stands where, and that states are the model's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.scoring.conftest import Rows
from xpo.contracts import Batch, Row, StepTotals
from xpo.data.collate import Collator
from xpo.scoring.joined import join, joined_cost, longest_joined
from xpo.scoring.score import Scoring
from xpo.scoring.states import token_states

EOS = 2
ROWS: Rows = [
    ([1, 5], [[7, 8, 2], [7, 9, 2], [9]]),
    ([1, 6, 4], [[3, 2], [3, 5, 5, 2]]),
]


def test_two_responses_by_hand() -> None:
    joined = join([([1, 5], [[7, 2], [8, 2]])], EOS, pad_id=0)
    # the prompt, then 7 2 | 2 | 8 2 and 8 2 | 2 | 7 2
    assert joined.packed.input_ids_BS.tolist() == [[1, 5, 7, 2, 2, 8, 2, 8, 2, 2, 7, 2]]
    assert joined.packed.position_BS.tolist() == [[0, 1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6]]
    assert joined.pair_BKK.tolist() == [[[0, 0], [1, 0]]]
    assert joined.mask_BRT.all() and joined.mask_BRT.shape == (1, 2, 5)


def test_what_two_pairs_begin_with_is_computed_once() -> None:
    joined = join(ROWS[:1], EOS, pad_id=0)
    (prompt, responses) = ROWS[0]
    pairs = [(*a, EOS, *b) for a in responses for b in responses if a is not b]
    prefixes = {pair[: t + 1] for pair in pairs for t in range(len(pair))}
    assert int((joined.packed.end_BS[0] > torch.arange(joined.packed.end_BS.shape[1]) + 1).sum()) > 0
    assert joined.packed.input_ids_BS.shape[1] == len(prompt) + len(prefixes)
    assert len(prompt) + len(prefixes) <= joined_cost(ROWS[0])
    assert joined_cost(([1, 5], [[7, 2], [8, 2]])) == 12


@pytest.mark.parametrize("path", ["shared", "plain"])
@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_the_end_of_every_ordered_pair_is_the_models_own(
    shape: str, path: Any, model_of: Callable[..., Any]
) -> None:
    """Ragged lists, shared beginnings, one response that was cut before its EOS."""
    model = model_of(shape)
    rows = [Row(prompt, responses) for prompt, responses in ROWS]
    batch: Batch = Collator(0, whole=True, separator=EOS)(rows, range(2), StepTotals(2.0, 1.0, 1))
    pairs = batch.joined.as_batch(batch)
    with torch.no_grad():
        last_BRD = token_states(Scoring(path=path), model, pairs).last(pairs)
        for b, (prompt, responses) in enumerate(ROWS):
            for i, first in enumerate(responses):
                for j, second in enumerate(responses):
                    if i == j:
                        continue
                    ids = torch.tensor([[*prompt, *first, EOS, *second]])
                    expected_D = model.base_model(input_ids=ids).last_hidden_state[0, -1]
                    found_D = last_BRD[b, batch.joined.pair_BKK[b, i, j]]
                    torch.testing.assert_close(found_D, expected_D, rtol=1e-4, atol=1e-5)
    value_BR = torch.arange(12.0).view(2, 6)
    assert batch.joined.table(value_BR)[0].tolist() == [[0, 0, 1], [2, 0, 3], [4, 5, 0]]


def test_a_batch_that_moves_takes_them_along() -> None:
    rows = [Row(prompt, responses) for prompt, responses in ROWS]
    batch = Collator(0, whole=True, separator=EOS)(rows, range(2), StepTotals(2.0, 1.0, 1))
    assert batch.to("meta").joined.packed.input_ids_BS.is_meta


def test_a_response_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has one response"):
        join([ROWS[0], ([1], [[7, 2]])], EOS, pad_id=0)


def test_the_longest_two_count() -> None:
    assert longest_joined(ROWS[0]) == 2 + 3 + 1 + 3
    assert longest_joined(([1] * 5, [[1], [1] * 4, [1] * 2])) == 5 + 4 + 1 + 2
