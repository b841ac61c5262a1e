"""A run that is stopped in the middle of a stage and started again ends bit by bit where it would have."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import SIZES, run_here, stop_at_checkpoint, summary, weights, write_lists

STEPS = 40


def overrides(folder: Path, out: Path, algo: str = "dpo") -> list[str]:
    data = write_lists(folder / "lists.jsonl")
    return [
        f"algo={algo}",
        f"data.path={data}",
        *SIZES,
        f"sft.steps={STEPS}",
        "sft.batch_size=8",
        "optimizer.lr=0.01",
        f"trainer.steps={STEPS}",
        "trainer.checkpoint_every=5",
        "trainer.threads=1",
        f"cache={out}-cache",
    ]


@pytest.mark.parametrize(
    ("algo", "place"),
    [("dpo", "checkpoints/sft"), ("dpo", "checkpoints"), ("cringe", "checkpoints")],
    ids=["sft", "align", "align with draws"],
)
def test_stopped_and_resumed_equals_uninterrupted(
    algo: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    run_here(whole, *overrides(tmp_path, whole, algo))
    arguments = overrides(tmp_path, halted, algo)
    code, printed = stop_at_checkpoint(halted / place, *arguments, f"hydra.run.dir={halted}")
    assert code == 128 + signal.SIGTERM, printed
    assert "continues from" in printed
    (checkpoint,) = (halted / place).glob("*.ckpt")
    assert 5 <= int(checkpoint.stem.removeprefix("step-")) < STEPS
    assert not (halted / "summary.json").exists()
    capsys.readouterr()
    run_here(halted, *arguments)
    said = capsys.readouterr().out
    assert f"goes on after step {int(checkpoint.stem.removeprefix('step-'))} of {STEPS}" in said
    assert ("sft is done already" in said) == (place == "checkpoints")
    ends = [weights(folder) for folder in (whole, halted)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert summary(whole)["metrics"] == summary(halted)["metrics"]
    assert logged(whole) == logged(halted)


def test_a_run_that_starts_anew_forgets_what_lies_there(tmp_path: Path) -> None:
    fresh, used = tmp_path / "fresh", tmp_path / "used"
    arguments = [*overrides(tmp_path, used), "trainer.resume=never"]
    run_here(used, *arguments)
    short = [*arguments, "trainer.steps=10", "trainer.checkpoint_every=2"]
    run_here(used, *short)
    run_here(fresh, *short)
    assert [path.name for path in (used / "checkpoints").glob("*.ckpt")] == ["step-00000010.ckpt"]
    assert [line for line in logged(used) if line["stage"] == "align"] == logged(fresh)


def logged(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "rows_per_second")} for line in lines]
