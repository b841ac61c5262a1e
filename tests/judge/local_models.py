"""Small models with a tokenizer, and what they are asked."""

from __future__ import annotations

from typing import Any

import torch

from xpo.data.record import Message
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.run.samples import Policy
from xpo.scoring.score import Scoring


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def begun(text: str, start: str) -> tuple[Message, ...]:
    return (*user(text), Message("assistant", start))


def policy(tokenizer: Any, seed: int = 3, path: Any = "shared") -> Policy:
    model = Scratch(hidden=16, layers=2, heads=2, max_length=96).build(tokenizer, seed)
    with torch.no_grad():  # far from uniform, so that a wrong token or position shows
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)) * 0.3)
    return Policy(model, tokenizer, Scoring(path=path))


def templated() -> Any:
    return train_bpe(["the cat sat on the mat", "10 and 1"] * 4, 290)
