"""A module with dropout, a frozen part and a loader that knows where it is: enough to test a resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from xpo.run.metrics import Accumulator


class Loader:
    """Ten batches an epoch, shuffled by epoch, resumable within an epoch."""

    def __init__(self, batches: int = 10) -> None:
        self.batches, self.epoch, self.position = batches, 0, 0
        self.data = torch.randn(batches, 4, 3, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(self.batches, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        while self.position < self.batches:
            self.position += 1
            torch.rand(1)  # a loader that draws from the global stream
            yield self.data[order[self.position - 1]]
        self.position, self.epoch = 0, self.epoch + 1

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]


class Toy(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1)).train()
        self.frozen = nn.Linear(3, 1).requires_grad_(False)
        self.register_buffer("running", torch.zeros(()))
        self.metrics = Accumulator()
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = (self.net(batch) - self.frozen(batch)).square().mean()
        self.running += loss.detach()
        self.losses.append(loss.item())
        self.metrics.add("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
