"""What TRL's trainers leave behind in a process is put back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def own_process_state() -> Iterator[None]:
    """TRL's trainers set environment variables and accelerate's global state: not for tests that follow."""
    before = dict(os.environ)
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    yield
    os.environ.clear()
    os.environ.update(before)
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
