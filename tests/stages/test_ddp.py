"""Two processes on the CPU learn what one does: the objective knows nothing of ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.stages.tiny import SIZES, run_command, run_here, summary, weights, write_lists


@pytest.mark.parametrize("preset", ["kto"])
def test_two_processes_equal_one(preset: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    data = write_lists(tmp_path / "lists.jsonl")
    shared = [f"algo={preset}", f"data.path={data}", *SIZES]
    shared += ["sft.steps=2", "sft.batch_size=8", "trainer.steps=3", "trainer.threads=1"]
    run_here(one, *shared, f"cache={one}-cache")
    two_ranks = ["trainer.devices=2", "trainer.strategy=ddp", f"cache={two}-cache", f"hydra.run.dir={two}"]
    done = run_command(*shared, *two_ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("everything lies in") == 1
    alone, together = summary(one)["metrics"], summary(two)["metrics"]
    assert alone.keys() == together.keys()
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    ends = [weights(folder) for folder in (one, two)]
    for name, whole in ends[0].items():
        torch.testing.assert_close(ends[1][name], whole, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
