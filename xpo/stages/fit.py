"""One training: a module, a loader and the run's callbacks, through Lightning."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from xpo.module.policy import PolicyModule
from xpo.run.checkpoints import Checkpoints, check_whole, checkpoint_step, forget, latest_checkpoint
from xpo.run.log import MetricLog
from xpo.run.random_state import RandomState
from xpo.run.ranks import rank
from xpo.run.say import say, shown
from xpo.run.training_log import TrainingLog

Evaluate = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Job:
    """What ``fit`` needs beside module and loader. ``checkpoints``: the stage's folder, one for all ranks."""

    stage: str
    steps: int
    settings: Any  # of the group trainer
    log: MetricLog
    checkpoints: Path
    evaluate: Evaluate | None = None
    evaluate_every: int | None = None
    goes_on: bool = False  # more is done to the trained weights: a checkpoint of the last step is kept for it


class Evaluation(Callback):
    """Calls an evaluation before the first step and every ``every`` steps, outside the training's clock."""

    def __init__(self, evaluate: Evaluate, log: MetricLog, every: int | None, stage: str) -> None:
        self._evaluate, self._log, self._every, self._seen = evaluate, log, every, 0
        self._stage = stage

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = trainer.global_step
        if trainer.global_step == 0:
            self._log.log(self._evaluate(), 0, self._stage)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._seen:
            return
        self._seen = step
        if self._every is not None and step % self._every == 0 and step < trainer.max_steps:
            self._log.log(self._evaluate(), step, self._stage)


class Epochs(Callback):
    """Tells the loader which epoch begins, so that each has its own order."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.train_dataloader.set_epoch(trainer.current_epoch)  # pyright: ignore[reportOptionalMemberAccess]


def fit(module: PolicyModule, loader: Any, job: Job) -> float:
    """Train, resuming from the newest checkpoint where the settings say so; the seconds it took."""
    callbacks: list[Callback] = [RandomState(), Epochs()]
    if job.evaluate is not None:
        callbacks.append(Evaluation(job.evaluate, job.log, job.evaluate_every, job.stage))
    every = job.settings.log_every
    callbacks.append(TrainingLog(module.sums, job.log, stage=job.stage, every=every, total_steps=job.steps))
    resume = _resumable(job)
    keep = job.settings.keep_checkpoints
    callbacks.append(Checkpoints(job.checkpoints, job.settings.checkpoint_every, keep, at_end=job.goes_on))
    trainer = job.settings.build(
        max_steps=job.steps,
        micro_batches=loader.micro_batches,
        directory=job.log.path.parent,
        callbacks=callbacks,
    )
    begin = time.monotonic()
    module.train()
    trainer.fit(module, loader, ckpt_path=resume, weights_only=True if resume else None)
    module.eval()
    return time.monotonic() - begin


def _resumable(job: Job) -> str | None:
    """The checkpoint to go on from, if any; what earlier runs logged or saved beyond it is forgotten."""
    found = latest_checkpoint(job.checkpoints) if job.settings.resume == "auto" else None
    if found is not None:
        check_whole(found)
    job.log.rewind(-1 if found is None else checkpoint_step(found), job.stage)
    if found is None and rank() == 0:
        forget(job.checkpoints)
    if found is None:
        return None
    say(f"{job.stage} goes on after step {checkpoint_step(found)} of {job.steps}: {shown(found)}")
    return str(found)
