"""What a draw and its result refuse, and the draw of one token."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xpo.sampler.base import Draw, Sampled, chances, pick, seeds

REFUSED: dict[str, Any] = {
    "responses": (0, "responses must be at least 1, got 0"),
    "temperature": (0.0, "temperature must be above 0 and finite, got 0.0"),
    "top_k": (0, "top_k must be at least 1, or null for all tokens, got 0"),
    "top_p": (1.5, "top_p must be above 0 and at most 1"),
    "min_new_tokens": (64, "min_new_tokens must be 0 to max_new_tokens - 1 = 63, got 64"),
    "max_new_tokens": (0, "max_new_tokens must be at least 1, got 0"),
    "stop": ("END", "stop must be a tuple of texts"),
    "tokens": (0, "tokens must be at least 1, got 0"),
}


@pytest.mark.parametrize("field", REFUSED)
def test_ranges(field: str):
    value, message = REFUSED[field]
    with pytest.raises(ValueError, match=message):
        Draw(**{field: value})


def test_stop_strings_have_text():
    with pytest.raises(ValueError, match="none of them empty"):
        Draw(stop=("END", ""))


def test_whole_distributions_are_those_of_the_scoring_pass():
    assert Draw(temperature=0.7).whole
    assert not any(d.whole for d in (Draw(top_k=3), Draw(top_p=0.9), Draw(min_new_tokens=1)))


def test_a_result_that_does_not_hang_together_is_refused():
    with pytest.raises(ValueError, match="one number for each token"):
        Sampled([[[5, 2]]], [[[-1.0]]], [[True]])
    with pytest.raises(ValueError, match="one truth value"):
        Sampled([[[5]]], [[[-1.0]]], [[True, False]])
    with pytest.raises(ValueError, match="no token"):
        Sampled([[[]]], [[[]]], [[True]])


@pytest.mark.parametrize(
    "chance, token", [(0.0, 1), (0.249, 1), (0.25, 3), (0.74, 3), (0.76, 4), (0.9999, 4)]
)
def test_a_token_by_hand(chance: float, token: int):
    """Masses 0, 1/4, 0, 1/2, 1/4, 0: cumulated 0, 1/4, 1/4, 3/4, 1, 1."""
    logp = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]]).log()
    assert pick(logp, torch.tensor([chance]).double()).item() == token


def test_random_numbers_are_the_prompts_own():
    draw = Draw(2, max_new_tokens=3)
    one, other = seeds(2, torch.Generator().manual_seed(0))
    assert one != other and chances(one, draw).shape == (2, 3)
    assert torch.equal(chances(one, draw), chances(one, draw))
    assert not torch.equal(chances(one, draw), chances(other, draw))
