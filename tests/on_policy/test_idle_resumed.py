"""A run of rows that is taken up where nothing more can be learnt idles as the whole run does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import lines, small
from tests.stages.tiny import run_here, weights
from xpo.data.errors import DataError
from xpo.run.training_log import TrainingLog
from xpo.stages.raters import Fitter

ONLINE = (
    *("algo=online_dpo", "sampling.responses=2", "schedule.epochs=1", "schedule.minibatches=1"),
    *("trainer.steps=4", "trainer.checkpoint_every=2"),
)


@pytest.fixture
def ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third rollout on all responses of all prompts tie."""
    made = Fitter._rows

    def rows(self: Fitter, answers: Sequence[Any], number: int) -> list[Any]:
        return [] if number >= 2 else made(self, answers, number)

    monkeypatch.setattr(Fitter, "_rows", rows)


def killed_after_two(out: Path, run: list[str]) -> None:
    ended = TrainingLog.on_train_batch_start

    def killed(self: TrainingLog, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == 2:
            raise RuntimeError("killed")
        ended(self, trainer, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingLog, "on_train_batch_start", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run_here(out, *run)
    assert [path.name for path in (out / "checkpoints").glob("*.ckpt")] == ["step-00000002.ckpt"]


@pytest.mark.usefixtures("ties")
def test_it_idles_as_the_whole_run_does(tmp_path: Path) -> None:
    whole, again = tmp_path / "whole", tmp_path / "again"
    run = small(tmp_path, whole, *ONLINE)
    run_here(whole, *run)
    killed_after_two(again, run)
    run_here(again, *run)
    one, two = weights(whole), weights(again)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert lines(whole) == lines(again)


@pytest.mark.usefixtures("ties")
def test_a_row_that_is_not_kept_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fitter, "load_state_dict", lambda self, state: None)
    run = small(tmp_path, tmp_path / "run", *ONLINE)
    killed_after_two(tmp_path / "run", run)
    with pytest.raises(DataError, match="left nothing to train on"):
        run_here(tmp_path / "run", *run)
