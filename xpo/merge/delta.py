"""What a training changed: weights before it, deltas after it, and how a delta gets into the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xpo.merge.methods import METHODS


@dataclass(frozen=True)
class Part:
    """One weight of the model as an adapter trains it.

    ``weight`` stands in the model, and a merged delta is added to it. ``value()`` is the trained share of
    it, differentiable: the weight itself, or the product of low-rank factors beside it.
    """

    weight: nn.Parameter
    value: Callable[[], Tensor]


Parts = Mapping[str, Part]


@dataclass(frozen=True)
class Start:
    """The weights that both branches begin from, on the CPU.

    ``trained``: every trainable parameter. ``values``: the value of each part, where it is not all 0.
    """

    trained: Mapping[str, Tensor]
    values: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module, parts: Parts) -> Start:
        trained, values = trained_weights(model), {}
        for name, part in parts.items():
            value = trained[name] if name in trained else part.value().detach().cpu().clone()
            if bool(value.any()):
                values[name] = value
        return cls(trained, values)

    def delta(self, name: str, part: Part) -> Tensor:
        """What a part has become, minus what it was: float32, on the CPU, without gradient."""
        now = part.value().detach().float().cpu()
        return now - self.values[name].float() if name in self.values else now.clone()


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every trainable parameter, on the CPU; tied ones once."""
    return {name: p.detach().cpu().clone() for name, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Write parameters by name; the others stay."""
    parameters: dict[str, Any] = dict(model.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)


@torch.no_grad()
def add_deltas(parts: Parts, deltas: Mapping[str, Tensor]) -> None:
    """theta + delta, in each weight's own precision."""
    for name, delta in deltas.items():
        weight = parts[name].weight
        weight.copy_((weight.float() + delta.to(weight.device)).to(weight.dtype))


def prune(delta: Tensor, threshold: float) -> Tensor:
    """The delta with 0 for every entry of absolute value ``threshold`` or less."""
    return torch.where(delta.abs() > threshold, delta, 0.0)


def merge(
    pairs: Iterable[tuple[str, Tensor, Tensor]], method: str, settings: Mapping[str, float], seed: int
) -> dict[str, Tensor]:
    """Merged deltas by name, of (name, SFT delta, alignment's delta).

    ``method`` is a key of ``METHODS``, ``settings`` is what it reads. What is drawn follows from ``seed``
    and the order of the pairs alone; torch's generator is left as it was.
    """
    combine = METHODS[method].combine
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: combine(sft, align, **settings) for name, sft, align in pairs}
