"""Run as a script: two ranks train, are told to stop, resume; rank 0 prints both ends as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.run.test_checkpoints import MICRO, STEPS, Send
from tests.run.toy import Loader, Toy
from xpo.logger.jsonl import Jsonl
from xpo.run.checkpoints import Checkpoints, Stopped, latest_checkpoint
from xpo.run.log import MetricLog, RunInfo
from xpo.run.quiet import quiet_libraries
from xpo.run.random_state import RandomState
from xpo.run.training_log import TrainingLog
from xpo.trainer.default import Default

RANK = int(os.environ.get("LOCAL_RANK", "0"))


class Shard(Loader):
    def __iter__(self) -> Iterator[Tensor]:
        for batch in super().__iter__():
            yield batch + RANK


def train(directory: Path, resume: Path | None = None, told: int | None = None) -> Toy:
    torch.manual_seed(RANK)
    module = Toy()
    torch.manual_seed(5 + RANK)
    with MetricLog(RunInfo(directory, "toy"), Jsonl(), RANK) as log:
        signals = [Send(signal.SIGTERM, batch=4)] if told == RANK else []
        callbacks = [
            RandomState(),
            TrainingLog(module.metrics, log, every=1, total_steps=STEPS),
            *signals,
            Checkpoints(directory / "checkpoints"),
        ]
        settings = Default(accelerator="cpu", devices=2, strategy="ddp")
        trainer = settings.build(
            max_steps=STEPS, micro_batches=MICRO, directory=directory, callbacks=callbacks
        )
        trainer.fit(module, Shard(), ckpt_path=resume, weights_only=True if resume else None)
    return module


def main(out: Path) -> None:
    quiet_libraries()
    whole = train(out / "whole")
    code = 0
    try:
        train(out / "stopped", told=1)
    except Stopped as stopped:
        code = int(stopped.code or 0)
    found = latest_checkpoint(out / "stopped" / "checkpoints")
    resumed = train(out / "stopped", found)
    if RANK == 0:
        ends = [[p.tolist() for p in module.net.parameters()] for module in (whole, resumed)]
        print(
            json.dumps(
                {"code": code, "checkpoint": found and found.name, "whole": ends[0], "resumed": ends[1]}
            )
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
