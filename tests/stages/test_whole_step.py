"""Statistics of the whole optimizer step do not depend on micro-batches or ranks, and are remembered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.tiny import SIZES, run_here, weights, write_lists
from tests.stages.whole_step import CASES, PerMicroBatch, epoch
from xpo.module.off_policy import OffPolicyModule
from xpo.run import checkpoints
from xpo.run.checkpoints import Stopped


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found, connected by gloo."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).with_name("whole_step.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder), str(rank)], env=environment, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for process in started:
        _, printed = process.communicate(timeout=180)
        assert process.returncode == 0, printed.decode()[-2000:]
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_many_micro_batches_learn_what_one_does(case: str) -> None:
    whole, parts = epoch(case, 100_000), epoch(case, 1)
    assert len(whole) == len(parts) == 2
    for one, many in zip(whole, parts, strict=True):
        assert many.loss == pytest.approx(one.loss, rel=1e-5)
        torch.testing.assert_close(many.gradient, one.gradient, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(many.memory, one.memory, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_statistics_of_a_micro_batch_are_caught(case: str) -> None:
    whole, parts = epoch(case, 100_000), epoch(case, 1, kind=PerMicroBatch)
    off = [(many.gradient - one.gradient).abs().max() for one, many in zip(whole, parts, strict=True)]
    assert max(off) > 1e-3, "taken over what is in memory at once, the step learns the same"


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_learn_what_one_does(case: str, two_ranks: list[dict[str, Any]]) -> None:
    for step, one in enumerate(epoch(case, 100_000)):
        ranks = [found[case][step] for found in two_ranks]
        assert sum(rank["loss"] for rank in ranks) == pytest.approx(one.loss, rel=1e-5)
        gradient = ranks[0]["gradient"] + ranks[1]["gradient"]
        torch.testing.assert_close(gradient, one.gradient, rtol=1e-3, atol=1e-5)
        for rank in ranks:
            torch.testing.assert_close(rank["memory"], one.memory, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_statistics_of_a_rank_alone_are_caught(case: str) -> None:
    """Unconnected, a rank knows no other rows: what it learns is not its part of the step."""
    alone = [epoch(case, 24, (rank, 2)) for rank in range(2)]
    off = [
        (alone[0][step].gradient + alone[1][step].gradient - whole.gradient).abs().max()
        for step, whole in enumerate(epoch(case, 100_000))
    ]
    assert max(off) > 1e-3


REMEMBERING = ("bco", "beta_dpo")
STEPS = 6


def arguments(folder: Path, preset: str, out: str) -> list[str]:
    data = write_lists(folder / "lists.jsonl")
    return [
        f"algo={preset}",
        f"data.path={data}",
        *SIZES,
        "sft=none",
        "optimizer.lr=2.0",
        f"trainer.steps={STEPS}",
        f"cache={folder / out}-cache",
    ]


def stopped_after(monkeypatch: pytest.MonkeyPatch, step: int, folder: Path, *overrides: str) -> None:
    """A run that is told to stop in the middle."""
    original = OffPolicyModule.on_train_batch_end

    def tell(module: OffPolicyModule, *given: Any) -> None:
        original(module, *given)
        if module.trainer.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(OffPolicyModule, "on_train_batch_end", tell)
        with pytest.raises(Stopped):
            run_here(folder, *overrides)
    assert [path.name for path in (folder / "checkpoints").glob("*.ckpt")] == [f"step-{step:08d}.ckpt"]


@pytest.mark.parametrize("preset", REMEMBERING)
def test_a_resumed_run_remembers(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, resumed, forgetful = (tmp_path / name for name in ("whole", "resumed", "forgetful"))
    run_here(whole, *arguments(tmp_path, preset, "whole"))
    for folder in (resumed, forgetful):
        overrides = arguments(tmp_path, preset, folder.name)
        with monkeypatch.context() as patch:
            if folder is forgetful:
                patch.setattr(checkpoints, "lean_names", _without_memory(checkpoints.lean_names))
            stopped_after(monkeypatch, 3, folder, *overrides)
        run_here(folder, *overrides)
    ends = [weights(folder) for folder in (whole, resumed, forgetful)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not all(torch.equal(ends[0][name], ends[2][name]) for name in ends[0]), "memory changes nothing"


def _without_memory(lean_names: Any) -> Any:
    return lambda *given: {name for name in lean_names(*given) if not name.endswith("_memory")}


@pytest.mark.parametrize("preset", REMEMBERING)
def test_an_evaluation_leaves_memory_alone(preset: str, tmp_path: Path) -> None:
    ends = []
    for every in (1, STEPS):
        out = tmp_path / str(every)
        run_here(out, *arguments(tmp_path, preset, out.name), f"eval.every={every}")
        ends.append(weights(out))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
