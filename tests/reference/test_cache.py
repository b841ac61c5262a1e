"""The cache gives back what was scored, and trusts no file that is not whole."""

from __future__ import annotations

import pytest
import torch

from xpo.contracts import Row
from xpo.reference.cache import cache_key, hash_rows, open_or_build
from xpo.scoring.score import Scoring

PARTS = {
    "weights": "w",
    "tokenizer": "t",
    "template": "",
    "truncation": "512",
    "dtype": "float32",
    "rows": "r",
}


class Counting:
    def __init__(self, policy):
        self.policy, self.calls = policy, 0

    def __call__(self, batch):
        self.calls += 1
        with torch.no_grad():
            return Scoring()(self.policy, batch)


@pytest.fixture
def score(policy):
    return Counting(policy)


def test_round_trip(tmp_path, batches, both, score):
    cache = open_or_build(tmp_path, PARTS, 3, lambda: batches, score)
    assert score.calls == 2
    expected = score(both)
    torch.testing.assert_close(cache.lookup(both.index_B, both.mask_BKT), expected, atol=1e-6, rtol=0)
    assert [[len(v) for v in cache[i]] for i in range(3)] == [[4, 2], [2], [3, 5, 2]]
    torch.testing.assert_close(cache[2][1], expected[2, 1], atol=1e-6, rtol=0)

    again = open_or_build(tmp_path, PARTS, 3, lambda: pytest.fail("scored again"), score)
    assert torch.equal(again.logp, cache.logp)
    filler = cache.lookup(torch.tensor([-1, 1, -1]), both.mask_BKT)
    assert not filler[0].any() and not filler[2].any() and filler[1].any()
    with pytest.raises(IndexError, match="rows 0 to 2, not 3"):
        cache[3]


@pytest.mark.parametrize("part", PARTS)
def test_any_difference_is_another_file(part, tmp_path, batches, score):
    open_or_build(tmp_path, PARTS, 3, lambda: batches, score)
    open_or_build(tmp_path, {**PARTS, part: "changed"}, 3, lambda: batches, score)
    assert score.calls == 4
    assert cache_key(PARTS) != cache_key({**PARTS, part: "changed"})


def test_the_rows_are_their_tokens_in_order():
    first, second = Row([1, 2], [[3, 4]]), Row([1], [[5], [6]])
    assert hash_rows([first, second]) == hash_rows([Row([1, 2], [[3, 4]], weight=2.0, source="x"), second])
    assert (
        len(
            {hash_rows(rows) for rows in ([first, second], [second, first], [first], [Row([1], [[2, 3, 4]])])}
        )
        == 4
    )


@pytest.mark.parametrize("harm", ["cut", "empty", "noise", "flipped"])
def test_a_damaged_file_is_built_again(harm, tmp_path, batches, score):
    good = open_or_build(tmp_path, PARTS, 3, lambda: batches, score)
    (path,) = tmp_path.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(
        {"cut": data[:-9], "empty": b"", "noise": b"no tensors here", "flipped": bytes(data)}[harm]
    )
    again = open_or_build(tmp_path, PARTS, 3, lambda: batches, score)
    assert score.calls == 4
    assert torch.equal(again.logp, good.logp)
    open_or_build(tmp_path, PARTS, 3, lambda: pytest.fail("not mended"), score)


def test_a_pass_that_broke_off_leaves_no_file(tmp_path, batches, score):
    def broken():
        yield batches[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_or_build(tmp_path, PARTS, 3, broken, score)
    assert not list(tmp_path.iterdir())


def test_rows_missing_or_doubled_are_errors(tmp_path, batches, score):
    with pytest.raises(ValueError, match="1 of 3 rows never came while caching, the first is 1"):
        open_or_build(tmp_path, PARTS, 3, lambda: batches[:1], score)
    with pytest.raises(ValueError, match="row 2 came twice"):
        open_or_build(tmp_path, PARTS, 3, lambda: [*batches, batches[0]], score)


def test_other_rows_than_those_cached_are_refused(tmp_path, batches, both, score):
    cache = open_or_build(tmp_path, PARTS, 3, lambda: batches, score)
    with pytest.raises(ValueError, match="row 1 has responses of"):
        cache.lookup(torch.tensor([1, 0, 2]), both.mask_BKT)
