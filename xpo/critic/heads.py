"""Heads on hidden states: V of a state, Q of every next token."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xpo.scoring.head import Head


class Mlp(nn.Module):
    """D -> 2 D -> out with a ReLU, as trlx has it, but begun at 0: its last layer holds zeros."""

    def __init__(self, width: int, out: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * width, dtype=dtype)
        self.outer = nn.Linear(2 * width, out, dtype=dtype)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    @property
    def head(self) -> Head:
        """The last layer, over ``features``."""
        return Head(self.outer.weight, self.outer.bias)

    def features(self, hidden_ED: Tensor) -> Tensor:
        return torch.relu(self.inner(hidden_ED.to(self.inner.weight.dtype)))

    def at(self, feature_EH: Tensor, token_E: Tensor) -> Tensor:
        """The output at one index per edge; the others are not computed."""
        weight_EH = self.outer.weight[token_E]
        return (feature_EH.to(weight_EH.dtype) * weight_EH).sum(1) + self.outer.bias[token_E]

    def forward(self, hidden_ED: Tensor) -> Tensor:
        return self.outer(self.features(hidden_ED)).to(self.outer.weight.dtype)


class Advantage(nn.Module):
    """min over the slow Q heads - V: how much better than usual each next token is, E x V.

    The slow heads are buffers: saved in checkpoints, out of every optimizer's reach.
    """

    def __init__(self, v: Mlp, slow: Sequence[Mlp]) -> None:
        super().__init__()
        self.v = v
        self.slow = nn.ModuleList(without_parameters(head) for head in slow)

    def slow_at(self, hidden_ED: Tensor, token_E: Tensor) -> Tensor:
        """The smaller slow Q of the edges' own tokens, without gradient."""
        with torch.no_grad():
            found = [head.at(head.features(hidden_ED), token_E) for head in self.slow]  # pyright: ignore
            return torch.stack(found).amin(0)

    def approach(self, quick: Sequence[nn.Module], rate: float) -> None:
        """slow <- rate quick + (1 - rate) slow."""
        with torch.no_grad():
            for slow, head in zip(self.slow, quick, strict=True):
                for name, buffer in slow.named_buffers():
                    buffer.lerp_(head.get_parameter(name), rate)

    def forward(self, hidden_ED: Tensor) -> Tensor:
        slow_EV = torch.stack([head(hidden_ED) for head in self.slow]).amin(0)
        return slow_EV - self.v(hidden_ED)


def without_parameters(module: nn.Module) -> nn.Module:
    """A copy whose weights are buffers."""
    made = copy.deepcopy(module)
    for part in list(made.modules()):
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
    return made
