"""Two processes on the CPU sample and learn what one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.on_policy.files import lines, small
from tests.stages.tiny import run_command, run_here, summary, weights

ROLLOUTS = ["optimizer.lr=0.05", "penalty.target=0.5", "penalty.horizon=50", "trainer.steps=6"]
ROUNDS = ["algo=raft", "schedule.rounds=2", "sampling.responses=3", "trainer.steps=4", "optimizer.lr=0.05"]

STEPS = [
    "algo=kto",
    "sampling=on_policy",
    "schedule=online",
    "sampling.responses=3",
    "trainer.steps=4",
    "optimizer.lr=0.05",
]


@pytest.mark.parametrize("more", [ROLLOUTS, ROUNDS, STEPS], ids=["rollouts", "rounds", "rows every step"])
def test_two_processes_equal_one(more: list[str], tmp_path: Path) -> None:
    """Each draws for its share of the prompts, and both train on all answers."""
    one, two = tmp_path / "one", tmp_path / "two"
    run_here(one, *small(tmp_path, one, *more))
    ranks = ["trainer.devices=2", "trainer.strategy=ddp", f"hydra.run.dir={two}"]
    done = run_command(*small(tmp_path, two, *more, *ranks))
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(two)["metrics"] == pytest.approx(summary(one)["metrics"], rel=1e-4, abs=1e-5)
    for a, b in zip(lines(one), lines(two), strict=True):
        assert a.keys() == b.keys() and a.pop("stage") == b.pop("stage")
        assert b == pytest.approx(a, rel=1e-4, abs=1e-4)
    ends = [weights(folder) for folder in (one, two)]
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
