"""The trainer's settings and the Lightning trainer that they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xpo.errors import UserError
from xpo.registry import register

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer

_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
MOST_THREADS = 1024  # OpenMP ends the process, without a word, where it cannot make as many
_CLUSTER = ("MASTER_ADDR", "SLURM_JOB_ID", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE")
"""One of these is in the environment of a process that a cluster or torchrun has started."""


@register("trainer", "default")
@dataclass(frozen=True)
class Default:
    """Lightning with automatic optimization.

    Two sizes only: ``batch_size`` rows per optimizer step over all ranks, and
    ``tokens_per_micro_batch``, which bounds memory; the number of micro-batches follows. A run lasts
    ``steps`` optimizer steps, or ``epochs`` where ``steps`` is null. ``bf16`` keeps fp32 weights.
    ``checkpoint_every: null`` checkpoints only when the run is told to stop (SIGTERM).
    ``threads: null`` leaves torch's number of threads alone.
    """

    batch_size: int = 32
    tokens_per_micro_batch: int = 8192
    epochs: float = 1.0
    steps: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    clip_grad_norm: float | None = 1.0
    log_every: int = 10
    checkpoint_every: int | None = None
    keep_checkpoints: int = 1
    resume: Literal["auto", "never"] = "auto"
    deterministic: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        counts = ("batch_size", "tokens_per_micro_batch", "devices", "nodes", "log_every", "keep_checkpoints")
        for name in (*counts, "steps", "checkpoint_every", "threads"):
            value = self.__dict__[name]
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.threads is not None and self.threads > MOST_THREADS:
            raise ValueError(f"threads must be at most {MOST_THREADS}, got {self.threads}")
        for name in ("epochs", "clip_grad_norm"):
            value = self.__dict__[name]
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")

    def total_steps(self, rows: int) -> int:
        """Optimizer steps of a run over so many rows; an epoch's last, smaller step counts."""
        if self.steps is not None:
            return self.steps
        per_epoch = -(-rows // self.batch_size)
        return max(1, round(self.epochs * per_epoch))

    def check_machine(self) -> None:
        """``UserError`` where this machine has not what is asked for, before anything is loaded."""
        import torch

        gpus = torch.cuda.device_count()
        if self.accelerator == "gpu" and not (gpus or torch.backends.mps.is_available()):
            raise UserError("trainer.accelerator=gpu: torch sees no GPU here; use auto or cpu")
        if self.accelerator != "cpu" and gpus and self.devices > gpus:
            raise UserError(f"trainer.devices={self.devices}: torch sees {gpus} GPUs here")
        if self.nodes > 1 and not any(name in os.environ for name in _CLUSTER):
            raise UserError(
                f"trainer.nodes={self.nodes}: this process does not know the other nodes and would wait for "
                "them for ever; start it on each with torchrun or a scheduler such as Slurm"
            )

    def build(
        self, *, max_steps: int, micro_batches: int, directory: Path, callbacks: Sequence[Callback]
    ) -> Trainer:
        """A Lightning trainer without Lightning's own logging, bar, checkpoints and validation.

        ``micro_batches`` per optimizer step and rank; ``max_steps`` counts optimizer steps. The loader
        shards over ranks itself.
        """
        import torch
        from lightning.pytorch import Trainer

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        # a debugging aid that costs time
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore
        return Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=self._strategy(),
            precision=_PRECISION[self.precision],
            max_steps=max_steps,
            max_epochs=-1,
            accumulate_grad_batches=micro_batches,
            gradient_clip_val=self.clip_grad_norm,
            deterministic="warn" if self.deterministic else None,
            default_root_dir=directory,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )

    def autocast(self, device: str) -> AbstractContextManager[Any]:
        """The precision of the training, for passes outside of it."""
        import torch

        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")

    def _strategy(self) -> Any:
        from lightning.pytorch.strategies import DDPStrategy

        return "auto" if self.strategy == "auto" else DDPStrategy(find_unused_parameters=False)
