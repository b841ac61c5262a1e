"""Packed rows by hand, and their promises on random ones."""

from __future__ import annotations

import random
import time

import pytest
import torch

from xpo.scoring.pack import pack
from xpo.scoring.support import Support


def test_two_responses_that_share_a_token_by_hand():
    packed, mask_BKT = pack([([1, 5], [[7, 8, 2], [7, 9, 2]])], pad_id=0)
    # prompt 1 5, then 7, then its two children 8 and 9; no EOS is fed
    assert packed.input_ids_BS.tolist() == [[1, 5, 7, 8, 9]]
    assert packed.position_BS.tolist() == [[0, 1, 2, 3, 3]]
    assert packed.end_BS.tolist() == [[5, 5, 5, 4, 5]]
    assert packed.edge_node_E.tolist() == [1, 2, 3, 2, 4]
    assert packed.edge_token_E.tolist() == [7, 8, 2, 9, 2]
    assert packed.edge_depth_E.tolist() == [0, 1, 2, 1, 2]
    assert packed.edge_BKT.tolist() == [[[0, 1, 2], [0, 3, 4]]]
    assert mask_BKT.all()


def test_a_last_token_is_fed_only_if_another_response_goes_on_from_it():
    packed, _ = pack([([1], [[7], [7, 8]])], pad_id=0)
    assert packed.input_ids_BS.tolist() == [[1, 7]]
    packed, _ = pack([([1], [[7], [8]])], pad_id=0)
    assert packed.input_ids_BS.tolist() == [[1]]


def test_identical_responses_share_everything():
    once, _ = pack([([1, 2], [[5, 6, 7]])], pad_id=0)
    thrice, mask_BKT = pack([([1, 2], [[5, 6, 7]] * 3)], pad_id=0)
    assert thrice.input_ids_BS.tolist() == once.input_ids_BS.tolist()
    assert thrice.edge_token_E.tolist() == once.edge_token_E.tolist()
    assert mask_BKT.shape == (1, 3, 3)


def test_rows_are_padded_on_the_right_and_padding_sees_itself_only():
    packed, mask_BKT = pack([([1, 2, 3], [[4, 5]]), ([1], [[6]])], pad_id=9)
    assert packed.input_ids_BS.tolist() == [[1, 2, 3, 4], [1, 9, 9, 9]]
    assert packed.end_BS.tolist() == [[4, 4, 4, 4], [1, 2, 3, 4]]
    assert packed.edge_node_E.tolist() == [2, 3, 4]
    assert mask_BKT.tolist() == [[[True, True]], [[True, False]]]


def test_prompt_edges_predict_every_prompt_token_after_the_first():
    packed, _ = pack([([1, 2, 3], [[4]]), ([1], [[6]])], pad_id=0, prompt_edges=True)
    assert packed.prompt_edge_BP is not None
    assert packed.prompt_edge_BP.tolist() == [[-1, 2, 3], [-1, -1, -1]]
    assert packed.edge_token_E.tolist() == [4, 6, 2, 3]
    assert packed.edge_node_E.tolist() == [2, 3, 0, 1]
    assert packed.edge_depth_E.tolist() == [0, 0, -1, -1]


def test_a_forced_tail_is_not_fed():
    """t = 0 and 1 are free, everything after is one token: only the first token of a response is fed."""
    allowed_TV = torch.zeros(3, 8, dtype=torch.bool)
    allowed_TV[0, 3:] = allowed_TV[1, 2:] = allowed_TV[2, 2] = True
    packed, _ = pack([([1], [[3, 4, 2], [3, 2]])], pad_id=0, support=Support(allowed_TV))
    assert packed.input_ids_BS.tolist() == [[1, 3]]
    assert sorted(packed.edge_token_E.tolist()) == [2, 2, 3, 4]


def ancestors(end: list[int], node: int) -> list[int]:
    return [i for i in range(node + 1) if node < end[i]]


@pytest.mark.parametrize("seed", range(5))
def test_every_response_is_read_back_from_its_edges_and_ancestors(seed: int):
    rng = random.Random(seed)
    rows = [
        (
            [rng.randrange(1, 9) for _ in range(rng.randrange(1, 5))],
            [[rng.randrange(3) for _ in range(rng.randrange(1, 6))] for _ in range(rng.randrange(1, 5))],
        )
        for _ in range(4)
    ]
    packed, mask_BKT = pack(rows, pad_id=0)
    width = packed.input_ids_BS.shape[1]
    for b, (prompt, responses) in enumerate(rows):
        ids, end = packed.input_ids_BS[b].tolist(), packed.end_BS[b].tolist()
        for k, response in enumerate(responses):
            assert int(mask_BKT[b, k].sum()) == len(response)
            for t, token in enumerate(response):
                edge = int(packed.edge_BKT[b, k, t])
                seen = ancestors(end, int(packed.edge_node_E[edge]) - b * width)
                assert [ids[i] for i in seen] == prompt + response[:t]
                assert packed.position_BS[b, seen].tolist() == list(range(len(seen)))
                assert int(packed.edge_token_E[edge]) == token
        fed = len(prompt) + len({tuple(r[:t]) for r in responses for t in range(1, len(r))})
        assert end[fed:] == list(range(fed + 1, width + 1))  # every proper prefix once, then padding
        assert end[0] == fed
    edges = [{tuple(r[: t + 1]) for r in responses for t in range(len(r))} for _, responses in rows]
    assert len(packed.edge_node_E) == sum(map(len, edges))


def test_empty_parts_are_refused_by_place():
    with pytest.raises(ValueError, match="row 1: the prompt has no token"):
        pack([([1], [[2]]), ([], [[2]])], pad_id=0)
    with pytest.raises(ValueError, match="row 0: response 1 has no token"):
        pack([([1], [[2], []])], pad_id=0)


def test_packing_takes_milliseconds():
    rng = random.Random(0)
    rows = [([1] * 100, [[rng.randrange(50) for _ in range(150)] for _ in range(2)]) for _ in range(8)]
    best = min(_timed(rows) for _ in range(5))
    assert best < 0.05, f"{best * 1000:.1f} ms for 8 rows of 400 tokens"


def _timed(rows: list[tuple[list[int], list[list[int]]]]) -> float:
    start = time.perf_counter()
    pack(rows, pad_id=0)
    return time.perf_counter() - start
