"""Two processes on the CPU learn what one does, stopped and resumed or not: an objective knows no ranks."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import (
    SIZES,
    run_command,
    run_here,
    stop_at_checkpoint,
    summary,
    weights,
    write_lists,
)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """KTO: the rows, the tokens (of its SFT stage) and the whole-step statistic are sums over ranks."""
    one, two = tmp_path / "one", tmp_path / "two"
    data = write_lists(tmp_path / "lists.jsonl")
    shared = ["algo=kto", f"data.path={data}", *SIZES, "optimizer.lr=0.05"]
    shared += ["sft.steps=2", "sft.batch_size=8", "trainer.steps=25", "trainer.threads=1"]
    run_here(one, *shared, f"cache={one}-cache")
    ranks = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.checkpoint_every=2"]
    arguments = [*shared, *ranks, f"cache={two}-cache", f"hydra.run.dir={two}"]
    code, printed = stop_at_checkpoint(two / "checkpoints", *arguments)
    assert code == 128 + signal.SIGTERM, printed
    done = run_command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("everything lies in") == 1
    alone, together = summary(one)["metrics"], summary(two)["metrics"]
    assert alone.keys() == together.keys()
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    ends = [weights(folder) for folder in (one, two)]
    for name, whole in ends[0].items():
        torch.testing.assert_close(ends[1][name], whole, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_two_processes_train_the_same_head(tmp_path: Path) -> None:
    """Members on their own halves, the stage before too: the head trains beside the policy on each rank."""
    one, two = tmp_path / "one", tmp_path / "two"
    data = write_lists(tmp_path / "lists.jsonl")
    shared = ["algo=reward_pmp", "reward.members=2", f"data.path={data}", f"data.pretraining={data}", *SIZES]
    shared += ["optimizer.lr=0.05", "sft=none", "trainer.steps=3", "trainer.threads=1"]
    shared += ["pretraining.steps=2", "pretraining.lr=0.05", "pretraining.batch_size=8"]
    run_here(one, *shared, f"cache={one}-cache")
    ranks = ["trainer.devices=2", "trainer.strategy=ddp", f"cache={two}-cache", f"hydra.run.dir={two}"]
    done = run_command(*shared, *ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(two)["metrics"] == pytest.approx(summary(one)["metrics"], rel=1e-4, abs=1e-5)
    ends = [weights(folder) for folder in (one, two)]
    assert "score.weight" in ends[0]
    for name, whole in ends[0].items():
        torch.testing.assert_close(ends[1][name], whole, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
