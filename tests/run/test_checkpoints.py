"""Checkpoints: resumed runs end bit by bit where an uninterrupted one does."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.run.toy import Loader, Toy
from xpo.logger.jsonl import Jsonl
from xpo.run.checkpoints import (
    Checkpoints,
    Stopped,
    check_whole,
    checkpoint_step,
    checkpoints,
    latest_checkpoint,
    lean_names,
)
from xpo.run.files import OutputError
from xpo.run.log import MetricLog, RunInfo
from xpo.run.quiet import quiet_libraries
from xpo.run.random_state import RandomState, random_state, set_random_state
from xpo.run.training_log import TrainingLog
from xpo.trainer.default import Default

STEPS, MICRO = 7, 2  # ten batches an epoch: the epoch ends after step 5


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        quiet_libraries()
        yield


class Disturb(Callback):
    """Something that draws random numbers between two batches, as an evaluation does."""

    def on_train_batch_end(self, *args: Any) -> None:
        torch.rand(3), random.random(), np.random.rand()


class Send(Callback):
    """Sends this process a signal in the middle of an optimizer step."""

    def __init__(self, number: int, batch: int) -> None:
        self.number, self.batch = number, batch

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == self.batch:
            os.kill(os.getpid(), self.number)


def train(
    directory: Path, resume: Path | None = None, every: int | None = None, keep: int = 9, also: tuple = ()
) -> Toy:
    torch.manual_seed(5)
    module = Toy()
    with MetricLog(RunInfo(directory, "toy"), Jsonl()) as log:
        callbacks = [
            RandomState(),
            TrainingLog(module.metrics, log, every=1, total_steps=STEPS),
            *also,
            Checkpoints(directory / "checkpoints", every, keep),
        ]
        settings = Default(accelerator="cpu")
        trainer = settings.build(
            max_steps=STEPS, micro_batches=MICRO, directory=directory, callbacks=callbacks
        )
        trainer.fit(module, Loader(), ckpt_path=resume, weights_only=True if resume else None)
    return module


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, Path]:
    directory = tmp_path_factory.mktemp("whole")
    import warnings

    with warnings.catch_warnings():
        quiet_libraries()
        return train(directory, every=1), directory


def same(one: Toy, other: Toy) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_resume_is_exact_at_every_step(whole: tuple[Toy, Path], step: int, tmp_path: Path) -> None:
    module, directory = whole
    resumed = train(tmp_path, checkpoints(directory / "checkpoints")[step - 1], also=(Disturb(),))
    assert resumed.losses == module.losses[step * MICRO :]
    assert same(resumed, module)


def test_a_resume_needs_the_random_state(whole: tuple[Toy, Path], tmp_path: Path) -> None:
    # the control: the same without random states ends elsewhere, so the test above can fail
    module, directory = whole
    path = tmp_path / "step-00000002.ckpt"
    stored = torch.load(checkpoints(directory / "checkpoints")[1], weights_only=True)
    torch.manual_seed(99)
    torch.save({**stored, "random_state": [random_state()]}, path)
    assert train(tmp_path, path).losses != module.losses[2 * MICRO :]


def test_a_checkpoint_is_lean_and_holds_no_code(whole: tuple[Toy, Path]) -> None:
    module, directory = whole
    stored = torch.load(latest_checkpoint(directory / "checkpoints"), weights_only=True)  # pyright: ignore
    assert set(stored["state_dict"]) == {
        "running",
        "net.0.weight",
        "net.0.bias",
        "net.2.weight",
        "net.2.bias",
    }
    assert lean_names(module, ["frozen"]) == set(module.state_dict())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_step_and_the_next_run_continues(
    whole: tuple[Toy, Path], tmp_path: Path, number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _ = whole
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        train(tmp_path, also=(Send(number, batch=4),))  # the first micro-batch of step 3
    assert stopped.value.code == code
    assert "the next run in this folder continues from" in capsys.readouterr().err
    assert signal.getsignal(number) == before
    found = latest_checkpoint(tmp_path / "checkpoints")
    assert found is not None and found == stopped.value.path and checkpoint_step(found) == 3
    assert same(train(tmp_path, found), module)


def test_a_checkpoint_without_its_end_is_named(whole: tuple[Toy, Path], tmp_path: Path) -> None:
    found = latest_checkpoint(whole[1] / "checkpoints")
    assert found is not None
    check_whole(found)
    for size in (0, 100, found.stat().st_size - 1):
        cut = tmp_path / "step-00000005.ckpt"
        cut.write_bytes(found.read_bytes()[:size])
        with pytest.raises(OutputError, match="step-00000005.ckpt is damaged.*resume=never"):
            check_whole(cut)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    train(tmp_path, every=2, keep=2)
    (tmp_path / "checkpoints" / "step-00000099.tmp").write_text("cut short")
    names = [path.name for path in checkpoints(tmp_path / "checkpoints")]
    assert names == ["step-00000004.ckpt", "step-00000006.ckpt"]


def test_what_is_logged(whole: tuple[Toy, Path]) -> None:
    module, directory = whole
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    for i, line in enumerate(lines):
        assert line["loss"] == pytest.approx(sum(module.losses[i * MICRO : (i + 1) * MICRO]) / MICRO)
        assert line["learning_rate"] == pytest.approx(0.05 / (1 + i))
        assert line["grad_norm"] > 0


def test_random_states_come_back() -> None:
    state = random_state()
    first = (random.random(), np.random.rand(), torch.rand(1).item())
    set_random_state(state)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == first


def test_no_checkpoint_no_resume(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None
    with pytest.raises(ValueError, match="not named step-<number>.ckpt"):
        checkpoint_step(tmp_path / "last.ckpt")


def test_where_every_step_sees_the_same_rows_only_logged_steps_are_measured(tmp_path: Path) -> None:
    asked: list[bool] = []

    class Asking(Toy):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            asked.append(self.metrics.wanted)
            return super().training_step(batch, batch_idx)

    module = Asking()
    with MetricLog(RunInfo(tmp_path, "toy"), Jsonl()) as log:
        log_callback = TrainingLog(module.metrics, log, every=3, total_steps=5)
        trainer = Default(accelerator="cpu").build(
            max_steps=5, micro_batches=1, directory=tmp_path, callbacks=[log_callback]
        )
        trainer.fit(module, Loader(batches=1))
    assert asked == [False, False, True, False, True]
