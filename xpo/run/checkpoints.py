"""Lean checkpoints at the end of optimizer steps, on time and when the run is told to stop."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from xpo.run.files import OutputError, output_folder

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_NAME = re.compile(r"step-(\d+)\.ckpt")


class Stopped(SystemExit):
    """The run was told to stop by a signal; exit code 128 + the signal's number. ``path``: its checkpoint."""

    def __init__(self, signum: int, path: Path) -> None:
        super().__init__(128 + signum)
        self.path = path

    def __str__(self) -> str:
        return f"stopped by a signal; the next run in this folder continues from {self.path}"


class Checkpoints(Callback):
    """Writes ``step-<n>.ckpt`` every ``every`` optimizer steps, keeps the newest ``keep``, resumes exactly.

    A checkpoint holds trainable weights, buffers, optimizer, schedule, loops, the loader's position (of a
    loader with ``state_dict``) and callbacks; frozen weights (a base under an adapter, the reference) are
    left out, save those whose names begin with a prefix in ``also``. ``at_end``: one of the last step
    too, for a run that has more to do after this training. SIGTERM and Ctrl-C let the running
    optimizer step end on every rank, then a checkpoint is written and ``Stopped`` raised; a second one
    stops at once. Readable with ``weights_only=True``.
    """

    def __init__(
        self,
        directory: Path,
        every: int | None = None,
        keep: int = 1,
        also: Iterable[str] = (),
        at_end: bool = False,
    ) -> None:
        self.directory = directory
        self._every, self._keep, self._also, self._at_end = every, keep, tuple(also), at_end
        self._seen = 0
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        pl_module.strict_loading = False  # what is left out of a checkpoint stays as it was built

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # after Lightning has put in place its own handler, which stops between two micro-batches
        self._seen = trainer.global_step
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._seen:  # a micro-batch within a step
            return
        self._seen = step
        stop = self._told_to_stop(trainer, pl_module)
        if stop or (self._every is not None and step % self._every == 0):
            self.save(trainer)
        if stop:
            stopped = Stopped(stop, self._path(step))
            if trainer.is_global_zero:
                print(f"xpo: {stopped}", file=sys.stderr)
            raise stopped

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore_handler()
        if self._at_end and not self._path(trainer.global_step).exists():
            self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore_handler()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        kept = lean_names(pl_module, self._also)
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in kept}

    def save(self, trainer: Trainer) -> Path:
        """Write a checkpoint of this step: every rank calls it; older ones beyond ``keep`` go."""
        path = self._path(trainer.global_step)
        temporary = path.with_suffix(".tmp")
        if trainer.is_global_zero:
            output_folder(self.directory)
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, path)
            for old in checkpoints(self.directory)[: -self._keep]:
                _remove(old)
        trainer.strategy.barrier("checkpoint")
        return path

    def _path(self, step: int) -> Path:
        return self.directory / f"step-{step:08d}.ckpt"

    def _note(self, signum: int, frame: Any) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt  # told twice: at once, without a checkpoint
        self._signal = signum

    def _told_to_stop(self, trainer: Trainer, pl_module: LightningModule) -> int:
        """The signal's number if any rank got one, else 0."""
        if trainer.world_size == 1:
            return self._signal or 0
        flag = torch.tensor(self._signal or 0, device=pl_module.device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return int(flag.item())

    def _restore_handler(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def lean_names(module: nn.Module, also: Iterable[str] = ()) -> set[str]:
    """Names of a state dict that a checkpoint needs: all but frozen parameters, those under ``also`` too."""
    prefixes = tuple(also)
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name for name in module.state_dict() if name not in frozen or name.startswith(prefixes)}


def checkpoints(directory: Path) -> list[Path]:
    """Whole checkpoints in a folder, the oldest first."""
    found = [(int(match[1]), path) for path in directory.glob("*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def latest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint that a run in this folder continues from, if there is one."""
    found = checkpoints(directory)
    return found[-1] if found else None


def forget(directory: Path) -> None:
    """Take away this stage's checkpoints, whole or not; what other stages left beside them stays."""
    for path in directory.glob("step-*"):
        _remove(path)


def check_whole(path: Path) -> None:
    """``OutputError`` for a checkpoint that lost its end, which torch would tell as an internal error."""
    if not zipfile.is_zipfile(path):
        raise OutputError(
            f"{path} is damaged: no whole checkpoint. Take it away to go on from the one before it, if "
            "there is one, or begin anew with trainer.resume=never."
        )


def checkpoint_step(path: Path) -> int:
    """The optimizer step after which a checkpoint was written."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path} is not named step-<number>.ckpt")
    return int(match[1])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
