"""A run that is stopped in the middle of alignment and started again ends bit by bit where it would have."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import ROOT, SIZES, command, environment, run_here, summary, weights, write_lists

STEPS = 40


def overrides(folder: Path, out: Path, preset: str) -> list[str]:
    data = write_lists(folder / "lists.jsonl")
    return [
        f"algo={preset}",
        f"data.path={data}",
        *SIZES,
        "sft.steps=2",
        "sft.batch_size=8",
        "optimizer.lr=0.01",
        f"trainer.steps={STEPS}",
        "trainer.checkpoint_every=5",
        "trainer.threads=1",
        f"cache={out}-cache",
    ]


def stop_after_first_checkpoint(arguments: list[str], out: Path) -> tuple[int, str]:
    """SIGTERM as soon as a checkpoint lies there; the exit code and what was printed."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 240
    while process.poll() is None and not list((out / "checkpoints").glob("*.ckpt")):
        assert time.monotonic() < end, "no checkpoint appeared"
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    return process.returncode, printed


@pytest.mark.parametrize("preset", ["dpo"])
def test_stopped_and_resumed_equals_uninterrupted(preset: str, tmp_path: Path) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    run_here(whole, *overrides(tmp_path, whole, preset))
    arguments = overrides(tmp_path, halted, preset)
    code, printed = stop_after_first_checkpoint([*arguments, f"hydra.run.dir={halted}"], halted)
    assert code == 128 + signal.SIGTERM, printed
    assert "continues from" in printed
    (checkpoint,) = (halted / "checkpoints").glob("*.ckpt")
    assert 5 <= int(checkpoint.stem.removeprefix("step-")) < STEPS
    assert not (halted / "summary.json").exists()
    run_here(halted, *arguments)
    ends = [weights(folder) for folder in (whole, halted)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert summary(whole)["metrics"] == summary(halted)["metrics"]
    assert logged(whole) == logged(halted)


def logged(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "rows_per_second")} for line in lines]
