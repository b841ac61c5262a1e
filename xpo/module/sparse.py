"""Imitation whose weight delta is to be sparse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from xpo.contracts import Batch
from xpo.module.off_policy import OffPolicyModule


class SparseModule(OffPolicyModule):
    """The objective + ``weight`` sum |value - start| over parts of the model, once per optimizer step.

    ``values`` gives each part as it is now, differentiable; ``start`` what it was, where that is not 0.
    The sum is metric ``l1``. A low-rank product is made anew in the backward pass, so that no more than
    one part's is kept.
    """

    def __init__(
        self,
        *settings: Any,
        values: Mapping[str, Callable[[], Tensor]],
        start: Mapping[str, Tensor],
        weight: float,
    ) -> None:
        super().__init__(*settings)
        self._values, self._weight = values, weight
        self._started = {name: f"start_{number}" for number, name in enumerate(start)}
        for name, buffer in self._started.items():  # buffers follow the model to its device
            self.register_buffer(buffer, start[name], persistent=False)

    def loss(self, batch: Batch) -> Tensor:
        share = super().loss(batch)
        with torch.autocast(self.device.type, enabled=False):
            l1 = self.l1()
        # every micro-batch of every rank pays its part of the one penalty
        penalty = self._weight * l1 / (batch.totals.micro_batches * self.trainer.world_size)
        self.sums.add_all({"loss": (penalty, 0.0), "l1": (l1, 1.0)})
        return share + penalty

    def l1(self) -> Tensor:
        """sum |value - start| over all entries of all parts."""
        parts = [checkpoint(self._l1, name, use_reentrant=False) for name in self._values]
        return torch.stack([part for part in parts if isinstance(part, Tensor)]).sum()

    def _l1(self, name: str) -> Tensor:
        value = self._values[name]()
        if name in self._started:
            value = value - self.get_buffer(self._started[name])
        return value.float().abs().sum()
