"""Two branches and their merge, killed and gone on with, and over two processes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.test_parallel import LORA, logged, overrides, stages
from tests.stages.tiny import run_command, run_here, stop_at_checkpoint, summary, weights
from xpo.stages import parallel

RESUMED = ("sft.steps=30", "trainer.steps=30", "trainer.checkpoint_every=3", "optimizer.lr=0.01")


@pytest.mark.parametrize("place", ["sft", "sft_branch", "."])
def test_killed_in_a_training_it_goes_on(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    drawn = ("sft.merge=dare_ties", *LORA, "adapter.dropout=0.1")
    run_here(whole, *overrides(tmp_path, *RESUMED, *drawn))
    arguments = [*overrides(tmp_path, *RESUMED, *drawn), f"cache={halted}-cache"]
    folder = halted / "checkpoints" / place
    code, printed = stop_at_checkpoint(folder, *arguments, f"hydra.run.dir={halted}")
    assert code == 128 + signal.SIGTERM, printed
    capsys.readouterr()
    run_here(halted, *arguments)
    said = capsys.readouterr().out
    assert "goes on after step" in said
    assert ("supervised branch is done already" in said) == (place == ".")
    ends = [weights(folder) for folder in (whole, halted)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert logged(whole) == logged(halted)


def test_killed_in_the_merge_nothing_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    cache = f"cache={halted}-cache"
    run_here(whole, *overrides(tmp_path))

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(parallel, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            run_here(halted, *overrides(tmp_path), cache)
    assert stages(halted)["merge"]["status"] == "failed" and not (halted / "summary.json").exists()
    monkeypatch.setattr("xpo.module.off_policy.OffPolicyModule.loss", killed)
    run_here(halted, *overrides(tmp_path), cache)
    ends = [weights(folder) for folder in (whole, halted)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert summary(whole)["metrics"] == summary(halted)["metrics"]
    assert logged(whole) == logged(halted)


def test_a_damaged_branch_is_trained_again(tmp_path: Path) -> None:
    run_here(tmp_path / "one", *overrides(tmp_path))
    path = Path(stages(tmp_path / "one")["sft_branch"]["weights"])
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    run_here(tmp_path / "two", *overrides(tmp_path))
    assert stages(tmp_path / "two")["sft_branch"]["training_seconds"] > 0
    ends = [weights(tmp_path / name) for name in ("one", "two")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """The penalty counts once, whatever the number of ranks; every rank makes the same merge."""
    one, two = tmp_path / "one", tmp_path / "two"
    shared = overrides(tmp_path, "sft.merge=dare_ties", "sft.l1=0.1", *LORA)
    run_here(one, *shared)
    ranks = ["trainer.devices=2", "trainer.strategy=ddp", f"cache={two}-cache", f"hydra.run.dir={two}"]
    done = run_command(*shared, *ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(two)["metrics"] == pytest.approx(summary(one)["metrics"], rel=1e-4, abs=1e-6)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weights(two)[name], weight, rtol=0, atol=1e-7)
