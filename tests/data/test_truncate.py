"""The prompt's start goes first, then the responses' ends; BOS and the floors stay."""

from __future__ import annotations

import random

import pytest

from xpo.data.truncate import Limits, fit

BOS = 0


def test_room_enough() -> None:
    assert fit([BOS, 1, 2], [[3], [4, 5]], Limits(max_length=32), BOS) == ([BOS, 1, 2], [[3], [4, 5]])
    assert fit([BOS, 1, 2], [[3]], Limits(), BOS) == ([BOS, 1, 2], [[3]])


@pytest.mark.parametrize(
    ("max_length", "prompt", "responses"),
    [
        (9, [BOS, 1, 2, 3, 4], [[7, 7, 7, 7], [8, 8]]),
        (8, [BOS, 2, 3, 4], [[7, 7, 7, 7], [8, 8]]),  # the longest response decides for all
        (7, [BOS, 3, 4], [[7, 7, 7, 7], [8, 8]]),
        (6, [BOS, 3, 4], [[7, 7, 7], [8, 8]]),  # the prompt is at its floor
        (5, [BOS, 3, 4], [[7, 7], [8, 8]]),
    ],
)
def test_order_of_cutting(max_length: int, prompt: list[int], responses: list[list[int]]) -> None:
    limits = Limits(max_length=max_length, min_prompt=3, min_response=2)
    assert fit([BOS, 1, 2, 3, 4], [[7, 7, 7, 7], [8, 8]], limits, BOS) == (prompt, responses)


def test_own_limits_and_no_bos() -> None:
    limits = Limits(max_prompt_length=2, max_response_length=3, min_prompt=1, min_response=1)
    assert fit([5, 1, 2, 3], [[7, 7, 7, 7]], limits, None) == ([2, 3], [[7, 7, 7]])
    assert fit([BOS, 1, 2, 3], [[7]], limits, BOS) == ([BOS, 3], [[7]])
    assert fit([BOS, 1], [[7]], Limits(max_prompt_length=1, min_prompt=1), BOS) == ([BOS], [[7]])


def test_guarantees_on_random_rows() -> None:
    draw = random.Random(1)
    for _ in range(500):
        low_p, low_r = draw.randrange(1, 6), draw.randrange(1, 6)
        limits = Limits(max_length=low_p + low_r + draw.randrange(20), min_prompt=low_p, min_response=low_r)
        prompt = [BOS, *range(1, draw.randrange(1, 30))]
        responses = [list(range(100, 100 + draw.randrange(1, 30))) for _ in range(draw.randrange(1, 4))]
        new_prompt, new = fit(prompt, responses, limits, BOS)
        assert limits.max_length is not None
        assert len(new_prompt) >= min(low_p, len(prompt)) and new_prompt[0] == BOS
        assert new_prompt[1:] == prompt[len(prompt) - len(new_prompt) + 1 :]
        for old, cut in zip(responses, new, strict=True):
            assert cut == old[: len(cut)] and len(cut) >= min(low_r, len(old))
            assert len(new_prompt) + len(cut) <= limits.max_length
        if any(len(cut) < len(old) for old, cut in zip(responses, new, strict=True)):
            assert len(new_prompt) <= low_p  # no response loses a token while the prompt has any to give


def test_impossible_limits() -> None:
    with pytest.raises(ValueError, match="min_response must be at least 1 token, got 0"):
        Limits(min_response=0)
    with pytest.raises(ValueError, match="max_length 9 has no room for min_prompt 5 . min_response 5"):
        Limits(max_length=9, min_prompt=5, min_response=5)
