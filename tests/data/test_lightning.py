"""A training that is stopped and taken up sees the rows that it would have seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import StepLoader
from xpo.data.plan import Sizes

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning warns of workers, of loggers and of itself

ROWS = [Row([1, 2, i + 3], [[5, i % 7 + 3, 2], [6, 2]], demo=[1.0, 0.0]) for i in range(11)]


class Watch(lightning.LightningModule):
    def __init__(self, stop: int | None, path: Path) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[int]] = []
        self.stop, self.path = stop, path

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.seen.append(batch.index_B.tolist())
        return self.weight.sum()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if len(self.seen) == self.stop:
            self.trainer.save_checkpoint(self.path)
            raise InterruptedError

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def train(path: Path, stop: int | None = None, resume: bool = False) -> list[list[int]]:
    loader = StepLoader(ROWS, Sizes(4, 12), Collator(0))
    module = Watch(stop, path)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        accumulate_grad_batches=loader.micro_batches,
        enable_model_summary=False,
        **quiet,
    )
    try:
        trainer.fit(module, loader, ckpt_path=str(path) if resume else None)
    except InterruptedError:
        pass
    else:
        assert trainer.global_step == 2 * loader.steps
    return module.seen


def test_lightning_takes_up_the_epoch_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "stopped.ckpt"
    whole = train(path)
    assert sorted(i for batch in whole[:6] for i in batch if i >= 0) == list(range(11))
    assert whole[:6] != whole[6:]
    for stop in (1, 4, 6, 9):  # within a step, at a step's end, at the epoch's end, in the second epoch
        first = train(path, stop=stop)
        assert first + train(path, resume=True) == whole
