"""AdamW with warm-up and a decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from xpo.registry import register

Named = Iterable[tuple[str, nn.Parameter]]


@register("optimizer", "adamw")
@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay, linear warm-up, then constant, linear or cosine decay.

    Loshchilov and Hutter 2019, arXiv 1711.05101. Norms, biases and other vectors are not decayed. The
    rate is ``lr * factor(step)`` (``factor`` below); ``min_lr_ratio`` is where a decay ends, as a share
    of ``lr``. Warm-up is ``warmup_steps`` or ``warmup_ratio`` (a share of all steps); not both.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup_steps: int | None = None
    warmup_ratio: float | None = None
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    min_lr_ratio: float = 0.0

    def __post_init__(self) -> None:
        _require(self.lr > 0 and math.isfinite(self.lr), "lr", "above 0", self.lr)
        _require(all(0 <= b < 1 for b in self.betas), "betas", "from 0 to below 1", self.betas)
        _require(self.eps > 0, "eps", "above 0", self.eps)
        _require(self.weight_decay >= 0, "weight_decay", "0 or above", self.weight_decay)
        _require((self.warmup_steps or 0) >= 0, "warmup_steps", "0 or above", self.warmup_steps)
        _require(0 <= (self.warmup_ratio or 0) < 1, "warmup_ratio", "from 0 to below 1", self.warmup_ratio)
        _require(0 <= self.min_lr_ratio <= 1, "min_lr_ratio", "from 0 to 1", self.min_lr_ratio)
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ValueError(
                f"warmup_steps must be null where warmup_ratio is set, got {self.warmup_steps} and "
                f"{self.warmup_ratio}: set one of the two to null"
            )

    def build(
        self, named_parameters: Named, total_steps: int, beside: Named = (), lr_scale: float = 1.0
    ) -> tuple[torch.optim.AdamW, LambdaLR]:
        """The optimizer over all trainable parameters and its schedule, to be stepped once per step.

        ``beside`` are those of another network, in groups of their own at ``lr_scale`` times the rate.
        Raises ``ValueError`` where nothing is trainable or the warm-up does not fit into the steps.
        """
        groups = self._groups(named_parameters, self.lr)
        if not groups:
            raise ValueError("no parameter is trainable: the model is frozen altogether")
        warmup = self.warmup(total_steps)
        optimizer = torch.optim.AdamW(
            groups + self._groups(beside, self.lr * lr_scale), lr=self.lr, betas=self.betas, eps=self.eps
        )
        return optimizer, LambdaLR(optimizer, lambda step: self.factor(step, total_steps, warmup))

    def _groups(self, named_parameters: Named, lr: float) -> list[dict[str, Any]]:
        """What decays and what does not, as far as there is any."""
        trainable = [p for _, p in named_parameters if p.requires_grad]
        groups = [
            {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": self.weight_decay, "lr": lr},
            {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0, "lr": lr},
        ]
        return [group for group in groups if group["params"]]

    def warmup(self, total_steps: int) -> int:
        """Warm-up steps of a run of that many steps."""
        _require(total_steps >= 1, "steps", "at least 1", total_steps)
        if self.warmup_steps is None:
            return min(math.ceil((self.warmup_ratio or 0) * total_steps), total_steps - 1)
        if self.warmup_steps >= total_steps:
            raise ValueError(
                f"warmup_steps must be below the run's {total_steps} steps, got {self.warmup_steps}"
            )
        return self.warmup_steps

    def factor(self, step: int, total_steps: int, warmup: int) -> float:
        """Share of ``lr`` in a step, from 0: (step + 1)/(warmup + 1), 1 at ``warmup``, then the decay.

        The usual step/warmup would spend the first step at a rate of 0; a decay reaches its end at
        ``total_steps``, one past the last step.
        """
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / (total_steps - warmup))
        left = {
            "constant": 1.0,
            "linear": 1.0 - done,
            "cosine": 0.5 * (1.0 + math.cos(math.pi * done)),
        }[self.schedule]
        return self.min_lr_ratio + (1.0 - self.min_lr_ratio) * left


def _require(holds: bool, field: str, allowed: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{field} must be {allowed}, got {value}")
