"""Samples of a run end where the model's window does."""

from __future__ import annotations

import pytest

from tests.sampler.small import policy_of
from xpo.run.samples import Generation, generate


@pytest.mark.parametrize("shape", ["gpt2", "llama"])  # learnt positions have no place beyond it
def test_the_window_ends_a_sample(shape: str) -> None:
    policy = policy_of(shape)
    found = generate(policy, [[1] * 44, [1]], Generation(max_new_tokens=64), sample=True)
    assert all(len(response) <= 48 - 44 for response in found)
    assert max(len(response) for response in generate(policy, [[1]], Generation(9), sample=True)) <= 9
