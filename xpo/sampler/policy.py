"""A policy, and what everyone who generates from it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.critic.base import Decoding, Processor
from xpo.scoring.parts import unwrap
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support


@dataclass(frozen=True)
class Policy:
    """A causal model with its tokenizer and the scoring pass that the run uses."""

    model: Any
    tokenizer: Any
    scoring: Scoring
    decoding: Decoding | None = None  # how responses are drawn, if not from the model alone

    @property
    def ends(self) -> set[int]:
        """The tokens that end a response."""
        own = self.model.generation_config.eos_token_id
        return {self.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}

    @property
    def pad(self) -> int:
        """The token id that fills rows up."""
        pad = self.tokenizer.pad_token_id
        return self.tokenizer.eos_token_id if pad is None else pad

    @contextmanager
    def processors(self, prompt_length: int) -> Iterator[list[Any]]:
        """For ``generate``: nothing outside of the support, then as the policy is decoded."""
        with ExitStack() as stack:
            found: list[Any] = []
            if self.scoring.support is not None:
                found.append(restriction(self.scoring.support, prompt_length))
            if self.decoding is not None:
                found.append(stack.enter_context(self.decoding.processor(self.model)))
            yield found


def restriction(support: Support, prompt_length: int) -> Processor:
    """Tokens outside of the support get no mass."""

    def restrict(ids_BS: Tensor, logits_BV: Tensor) -> Tensor:
        allowed_TV = support.allowed_TV.to(logits_BV.device)
        row = min(ids_BS.shape[1] - prompt_length, allowed_TV.shape[0] - 1)
        return logits_BV.masked_fill(~allowed_TV[row], float("-inf"))

    return restrict


@contextmanager
def own_distribution(model: Any) -> Iterator[Any]:
    """The transformers model, whose ``generate`` does what it is told and nothing else.

    A checkpoint may bring settings of its own (a repetition penalty, top-k), which ``generate`` takes
    wherever it is told nothing.
    """
    from transformers import GenerationConfig

    inner = unwrap(model)
    kept = inner.generation_config
    inner.generation_config = GenerationConfig()
    try:
        yield inner
    finally:
        inner.generation_config = kept


def left_padded(prompts: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Tensor, Tensor]:
    """Token ids and mask, BP."""
    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def until_end(tokens: list[int], ends: set[int]) -> list[int]:
    """Up to the first token that ends a response, that one included."""
    stop = next((i + 1 for i, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]
