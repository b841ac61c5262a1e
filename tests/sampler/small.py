"""Tiny policies far from uniform, and what their scoring pass says of drawn responses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch, StepTotals
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.sampler.base import Sampled
from xpo.sampler.policy import Policy
from xpo.scoring.pack import pack
from xpo.scoring.score import Scoring

WORLD = World(prompts=3, symbols=3, max_symbols=2, seed=7)
SHAPES = ("llama", "qwen2", "gpt2")
PROMPTS = [list(WORLD.prompt_ids[0]), [1], [1, 7, 8, 9, 9], list(WORLD.prompt_ids[1])]


def loud(model: Any, seed: int, size: float = 0.3) -> Any:
    """The model with noise on its weights, so that a wrong token, mask or position shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return model


def model_of(shape: str = "llama", seed: int = 0) -> Any:
    sizes = Scratch(model_type=shape, hidden=16, layers=2, heads=2, max_length=48)  # pyright: ignore
    return loud(sizes.build(WORLD.tokenizer(), seed=seed), seed)


def policy_of(shape: str = "llama", seed: int = 0, limited: bool = False) -> Policy:
    """``limited``: to the responses of the world."""
    support = WORLD.support() if limited else None
    return Policy(model_of(shape, seed), WORLD.tokenizer(), Scoring(support=support))


def scored(
    policy: Policy, prompts: Sequence[Sequence[int]], found: Sampled, temperature: float = 1.0
) -> list[Tensor]:
    """What the scoring pass gives the drawn responses of each prompt, KT."""
    scoring = dataclasses.replace(policy.scoring, temperature=temperature)
    values = []
    for prompt, responses in zip(prompts, found.responses, strict=True):
        packed, mask_BKT = pack([(prompt, responses)], pad_id=0, support=scoring.support)
        ones = torch.ones(1)
        batch = Batch(packed, mask_BKT, ones, torch.zeros(1).long(), StepTotals(1.0, 1.0, 1))
        with torch.no_grad():
            values.append(scoring(policy.model, batch)[0])
    return values


def gap(found: Sampled, expected: Sequence[Tensor]) -> float:
    """The largest difference of a drawn token's log-probability from the expected one."""
    return max(
        float((torch.tensor(logps) - expected_KT[k, : len(logps)]).abs().max())
        for row, expected_KT in zip(found.logps, expected, strict=True)
        for k, logps in enumerate(row)
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chi_square(responses: Sequence[Sequence[int]], logp_N: Tensor, world: World = WORLD) -> float:
    """Of how often each response of the world was drawn, against its probability."""
    index = {tuple(ids): i for i, ids in enumerate(world.response_ids)}
    seen_N = torch.bincount(torch.tensor([index[tuple(r)] for r in responses]), minlength=world.size)
    expected_N = len(responses) * logp_N.exp()
    return float(((seen_N - expected_N) ** 2 / expected_N).sum())


MOST = 31.26
"""The 99.9 % quantile of chi-square with 11 degrees of freedom: the world has 12 responses."""
