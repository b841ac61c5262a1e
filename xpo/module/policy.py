"""What every training stage has in common: a policy, its optimizer, its sums of metrics."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import lightning.pytorch as pl
from torch import Tensor

from xpo.contracts import Batch
from xpo.run.metrics import Accumulator


class OptimizerOption(Protocol):
    """A component of the group ``optimizer``."""

    def build(
        self, named_parameters: Any, total_steps: int, beside: Any = (), lr_scale: float = 1.0
    ) -> tuple[Any, Any]: ...


class PolicyModule(pl.LightningModule):
    """Hosts a policy under automatic optimization.

    ``loss`` gives the objective's share of this micro-batch such that the shares of all micro-batches and
    ranks *sum* to the objective; Lightning averages over both, hence the two factors in ``training_step``.
    """

    def __init__(self, policy: Any, optimizer: OptimizerOption, total_steps: int) -> None:
        super().__init__()
        self.strict_loading = False  # checkpoints hold trainable weights only
        self.policy = policy
        self.sums = Accumulator()
        self._optimizer = optimizer
        self._total_steps = total_steps

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The objective's share of one micro-batch, metrics added to ``self.sums`` on the way."""

    def beside(self) -> tuple[Any, float]:
        """Named parameters of a network that is trained beside the policy, and its multiple of the rate."""
        return (), 1.0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.loss(batch) * batch.totals.micro_batches * self.trainer.world_size

    def configure_optimizers(self) -> Any:
        optimizer, scheduler = self._optimizer.build(
            self.policy.named_parameters(), self._total_steps, *self.beside()
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
