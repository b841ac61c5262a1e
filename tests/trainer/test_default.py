"""Trainer settings: lengths of runs, ranges, and the Lightning trainer that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpo.errors import UserError
from xpo.eval.default import Default as Eval
from xpo.trainer.default import _CLUSTER, Default


@pytest.mark.parametrize(
    ("fields", "rows", "steps"),
    [
        ({"batch_size": 8}, 16, 2),
        ({"batch_size": 8}, 17, 3),  # the last, smaller step counts
        ({"batch_size": 8, "epochs": 2.0}, 17, 6),
        ({"batch_size": 8, "epochs": 0.5}, 64, 4),
        ({"batch_size": 8, "epochs": 0.01}, 8, 1),
        ({"batch_size": 8, "steps": 7}, 1000, 7),
    ],
)
def test_total_steps(fields: dict[str, float], rows: int, steps: int) -> None:
    assert Default(**fields).total_steps(rows) == steps  # pyright: ignore


@pytest.mark.parametrize("field", ["batch_size", "tokens_per_micro_batch", "devices", "log_every", "steps"])
def test_counts_below_one_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Default(**{field: 0})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"every": 0}, "every must be at least 1"),
        ({"samples": -1}, "samples must be 0 or above"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1"),
    ],
)
def test_eval_ranges(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Eval(**fields)  # pyright: ignore


def test_the_trainer_is_what_the_settings_say(tmp_path: Path) -> None:
    settings = Default(accelerator="cpu", precision="bf16", clip_grad_norm=0.5)
    trainer = settings.build(max_steps=7, micro_batches=3, directory=tmp_path, callbacks=[])
    assert (trainer.max_steps, trainer.accumulate_grad_batches) == (7, 3)
    assert (trainer.precision, trainer.gradient_clip_val) == ("bf16-mixed", 0.5)
    assert trainer.loggers == []


def test_what_the_machine_lacks_is_said_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for name in _CLUSTER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    Default(devices=2).check_machine()  # two processes on the CPU
    with pytest.raises(UserError, match="trainer.accelerator=gpu: torch sees no GPU"):
        Default(accelerator="gpu").check_machine()
    with pytest.raises(UserError, match="trainer.nodes=2.*torchrun"):
        Default(nodes=2).check_machine()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    Default(accelerator="gpu").check_machine()
    with pytest.raises(UserError, match="trainer.devices=2: torch sees 1 GPUs"):
        Default(devices=2).check_machine()
    monkeypatch.setenv("MASTER_ADDR", "node-0")
    Default(nodes=2).check_machine()
