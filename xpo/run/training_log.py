"""The Lightning callback that shows and logs a training."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from xpo.contracts import Batch
from xpo.errors import UserError
from xpo.run.log import MetricLog
from xpo.run.metrics import Accumulator, derived
from xpo.run.progress import Bar, progress

SHOWN = (
    "loss",
    "rewards/margins",
    "rewards/accuracies",
    "rollout/score",
    "time/sample",
    "time/annotate",
    "time/score",
    "time/update",
    "rows_per_second",
)
"""Metrics beside the bar, of those that a run has."""


class TrainingLog(Callback):
    """Every ``every`` optimizer steps, and at the end: reduce the metrics once, log them, show a few.

    The module adds to ``metrics`` (the same accumulator) whatever it measures; this adds ``grad_norm``
    (before clipping, of the steps that are logged), ``learning_rate`` and ``rows_per_second`` (prompts over
    all ranks, of the time within batches). Where an epoch is one batch, so that every step sees the same
    rows, only the steps that are logged are measured (``metrics.wanted`` tells the module).
    """

    def __init__(
        self,
        metrics: Accumulator,
        log: MetricLog,
        *,
        stage: str = "align",
        every: int = 10,
        total_steps: int,
        shown: Sequence[str] = SHOWN,
    ) -> None:
        self.latest: dict[str, float] = {}
        self._metrics, self._log, self._stage, self._every = metrics, log, stage, every
        self._total_steps, self._shown = total_steps, tuple(shown)
        self._stack = contextlib.ExitStack()
        self._bar: Bar | None = None
        self._sparse = False
        self._seen = 0
        self._begin = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = trainer.global_step
        self._sparse = trainer.num_training_batches == 1
        self._bar = self._stack.enter_context(
            progress(self._total_steps, f"training ({self._stage})", start=trainer.global_step)
        )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._metrics.wanted = not self._sparse or self._due(trainer.global_step + 1)
        self._begin = time.monotonic()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self._due(trainer.global_step + 1):
            self._metrics.add("grad_norm", gradient_norm(pl_module))
            self._metrics.add(
                "learning_rate", torch.tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64)
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        rows = _rows(batch)
        if rows is not None:
            self._metrics.add("rows_per_second", rows * trainer.world_size, time.monotonic() - self._begin)
        step = trainer.global_step
        if step == self._seen:
            return
        self._seen = step
        if self._due(step):
            self.latest = derived(self._metrics.flush())
            self._log.log(self.latest, step, self._stage)
            self._check(step)
        if self._bar is not None:
            self._bar.advance(1, {name: self.latest[name] for name in self._shown if name in self.latest})

    def _check(self, step: int) -> None:
        """``UserError`` for a loss that is no number: no step after it can mean anything."""
        loss = self.latest.get("loss", 0.0)
        if not math.isfinite(loss):
            raise UserError(
                f"training ({self._stage}) step {step}: the loss is {loss}. Lower optimizer.lr, set "
                "trainer.clip_grad_norm, or look at the method's own scales (`xpo explain`); metrics.jsonl "
                "has what was logged before."
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stack.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stack.__exit__(type(exception), exception, exception.__traceback__)

    def _due(self, step: int) -> bool:
        return step % self._every == 0 or step == self._total_steps


def gradient_norm(module: LightningModule) -> Tensor:
    """L2 norm of all gradients together."""
    return total_norm([p.grad for p in module.parameters() if p.grad is not None])


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm of tensors together, of all their shards."""
    from torch.distributed.tensor import DTensor

    norm = torch.nn.utils.get_total_norm(tensors)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _rows(batch: Any) -> Tensor | None:
    return (batch.index_B >= 0).sum() if isinstance(batch, Batch) else None
