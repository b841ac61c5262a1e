"""The weights of a reference that follows the policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from xpo.scoring.parts import evaluating


class Moving(nn.Module):
    """A copy of the policy's trained weights, as buffers; all others are the policy's own.

    Every ``every`` optimizer steps (None: never) it moves by ``rate`` towards the policy (1: becomes it).
    """

    def __init__(self, policy: nn.Module, rate: float, every: int | None) -> None:
        super().__init__()
        self._policy = (policy,)  # in a tuple: not a submodule, its weights are saved elsewhere
        self._rate, self.every = rate, every
        for number, weight in enumerate(self._trained()):
            self.register_buffer(f"weight_{number}", weight.detach().clone())

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in self._policy[0].parameters() if p.requires_grad]

    def _pairs(self) -> list[tuple[nn.Parameter, torch.Tensor]]:
        copies = [buffer for name, buffer in self.named_buffers() if name.startswith("weight_")]
        return list(zip(self._trained(), copies, strict=True))

    def follow(self, step: int) -> None:
        """Call after every optimizer step, with its number."""
        if self.every is None or step % self.every:
            return
        with torch.no_grad():
            for weight, copy in self._pairs():
                copy.lerp_(weight.to(copy.dtype), self._rate)

    @contextmanager
    def host(self) -> Iterator[Any]:
        """Within it the policy has the copy's weights, in eval mode. No gradient may be taken inside."""
        pairs = self._pairs()
        own = [weight.data for weight, _ in pairs]
        for weight, copy in pairs:
            weight.data = copy
        try:
            with evaluating(self._policy[0]):
                yield self._policy[0]
        finally:
            for (weight, _), data in zip(pairs, own, strict=True):
                weight.data = data
