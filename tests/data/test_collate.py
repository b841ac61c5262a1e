"""Padding changes nothing and fillers weigh nothing, for B and K of 1, 2, 3 and unequal lengths."""

from __future__ import annotations

import pytest
import torch

from xpo.contracts import Row, StepTotals
from xpo.data.collate import Collator

TOTALS = StepTotals(3.0, 7.0, 1)
PAD = 9


def ragged(count: int, size: int) -> list[Row]:
    """Row b has b + 1 prompt tokens; its k-th response has k + b + 1 tokens; row 0 has ``size`` responses."""
    rows = []
    for b in range(count):
        number = max(1, size - b)
        responses = [[10 * b + k] * (k + b) + [2] for k in range(number)]
        total = number * (number - 1) / 2 or 1.0
        prefer = [[float(i < j) / total for j in range(number)] for i in range(number)]
        rows.append(
            Row(
                [1] * (b + 1),
                responses,
                prefer=prefer,
                good=[1.0 / number] * number,
                bad=[0.0] * number,
                demo=[1.0, *[0.0] * (number - 1)],
                scores=[float(number - k) for k in range(number)],
                wins=[[0.5] * number] * number,
                weight=1.0 + b,
            )
        )
    return rows


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shapes_and_padding(count: int, size: int) -> None:
    rows = ragged(count, size)
    batch = Collator(PAD)(rows, list(range(count)), TOTALS)
    longest = max(len(response) for row in rows for response in row.responses)
    assert batch.mask_BKT.shape == (count, size, longest)
    assert batch.weight_B.tolist() == [1.0, 2.0, 3.0][:count]
    assert batch.prompt_BP is not None and batch.prompt_mask_BP is not None and batch.response_BKT is not None
    for b, row in enumerate(rows):
        assert batch.prompt_BP[b][batch.prompt_mask_BP[b]].tolist() == list(row.prompt)
        assert batch.prompt_BP[b, len(row.prompt) :].eq(PAD).all()
        for k in range(size):
            there = row.responses[k] if k < len(row.responses) else []
            assert batch.response_BKT[b, k][batch.mask_BKT[b, k]].tolist() == list(there)
            assert batch.response_BKT[b, k, len(there) :].eq(PAD).all()
            assert bool(batch.present_BK[b, k]) == (k < len(row.responses))
            for field, value in (("good_BK", row.good), ("demo_BK", row.demo), ("score_BK", row.scores)):
                assert value is not None
                expected = value[k] if k < len(row.responses) else 0.0
                assert getattr(batch, field)[b, k].item() == pytest.approx(expected)
        assert batch.prefer_BKK is not None and batch.win_BKK is not None
        assert batch.prefer_BKK[b, len(row.responses) :].eq(0).all()
        assert batch.prefer_BKK[b, :, len(row.responses) :].eq(0).all()
        assert batch.prefer_BKK[b].sum().item() == pytest.approx(0.0 if len(row.responses) == 1 else 1.0)
        assert batch.win_BKK[b].sum().item() == pytest.approx(0.5 * len(row.responses) ** 2)


def test_packed_edges_spell_the_responses() -> None:
    rows = ragged(3, 3)
    batch = Collator(PAD)(rows, [0, 1, 2], TOTALS)
    assert batch.response_BKT is not None
    spelled = batch.packed.edge_token_E[batch.packed.edge_BKT]
    assert torch.equal(spelled[batch.mask_BKT], batch.response_BKT[batch.mask_BKT])


def test_filler_rows_weigh_nothing_and_read_no_cache() -> None:
    rows = ragged(1, 2)
    batch = Collator(PAD, ref={0: [[-1.0], [-2.0, -3.0]]})([rows[0], rows[0]], [0, -1], TOTALS)  # type: ignore[arg-type]
    assert batch.weight_B.tolist() == [1.0, 0.0] and batch.index_B.tolist() == [0, -1]
    assert batch.ref_logp_BKT is not None
    assert batch.ref_logp_BKT.tolist() == [[[-1.0, 0.0], [-2.0, -3.0]], [[0.0, 0.0], [0.0, 0.0]]]


def test_a_cache_of_other_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="row 0, response 1: 1 cached reference log-probs for 2 tokens"):
        Collator(PAD, ref={0: [[-1.0], [-2.0]]})(ragged(1, 2), [0], TOTALS)  # type: ignore[arg-type]


def test_a_field_that_one_row_lacks_is_none() -> None:
    batch = Collator(PAD)(
        [Row([1], [[2]], demo=[1.0], scores=[1.0]), Row([1], [[2]], demo=[1.0])], [0, 1], TOTALS
    )
    assert batch.score_BK is None and batch.prefer_BKK is None and batch.demo_BK is not None


def test_prompt_edges_are_asked_for() -> None:
    assert Collator(PAD)(ragged(2, 2), [0, 1], TOTALS).packed.prompt_edge_BP is None
    assert Collator(PAD, prompt_edges=True)(ragged(2, 2), [0, 1], TOTALS).packed.prompt_edge_BP is not None
