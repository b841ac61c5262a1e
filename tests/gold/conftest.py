"""A small world, a made-up reference, and a model with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.gold.world import World
from xpo.scoring.score import Scoring


@pytest.fixture(scope="session")
def world() -> World:
    return World(prompts=3, symbols=3, max_symbols=2, seed=7)


@pytest.fixture(scope="session")
def ref(world: World) -> Tensor:
    """Log-probabilities of a reference: any will do, but not uniform ones."""
    generator = torch.Generator().manual_seed(11)
    noise = torch.randn(world.prompts, world.size, generator=generator, dtype=torch.float64)
    return torch.log_softmax(noise, 1)


@pytest.fixture(scope="session")
def model(world: World) -> Any:
    from xpo.model.scratch import Scratch

    return Scratch(hidden=32, layers=1, heads=2, max_length=16).build(world.tokenizer(), seed=0)


@pytest.fixture(scope="session")
def scoring(world: World) -> Scoring:
    return Scoring(support=world.support())
