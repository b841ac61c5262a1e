"""Rounds that begin anew, are killed and go on: nothing of the run before is taken up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import small
from tests.stages.tiny import run_here, summary, weights
from xpo.errors import UserError
from xpo.run.files import OutputError
from xpo.stages import rounds as file

GOLD = (
    *(
        "data=gold",
        "data.prompts=2",
        "data.symbols=3",
        "data.max_symbols=2",
        "trainer.steps=6",
        "sft.steps=4",
    ),
    *("eval.samples=0", "logger=none", "trainer.threads=1", "data.records=8"),
)
RAFT = ("algo=raft", "sampling.responses=3", "trainer.steps=3", "schedule.rounds=3")
SEED = "seed=5"
NEVER = "trainer.resume=never"


def killed_before(number: int, out: Path, *overrides: str) -> None:
    """A run that is broken off as a round begins, its samples drawn."""
    with pytest.MonkeyPatch.context() as patched:
        original = file.align

        def killed(alignment: Any) -> Any:
            if alignment.turn.number == number:
                raise KeyboardInterrupt
            return original(alignment)

        patched.setattr(file, "align", killed)
        with pytest.raises(KeyboardInterrupt):
            run_here(out, *overrides)


def test_a_new_beginning_that_is_killed_goes_on_as_itself(tmp_path: Path) -> None:
    """Its later rounds have no samples of the run before, which was finished, and of another seed."""
    used, fresh = tmp_path / "used", tmp_path / "fresh"
    run_here(used, *small(tmp_path, used, *RAFT, "optimizer.lr=0.05"))
    other = small(tmp_path, fresh, *RAFT, SEED)
    killed_before(2, used, *other, NEVER)
    assert not (used / "summary.json").exists() and not (used / "model").exists()
    assert [p.name for p in sorted((used / "checkpoints").glob("samples-*"))] == [
        "samples-001.pt",
        "samples-002.pt",
    ]
    run_here(used, *other)
    run_here(fresh, *other)
    assert summary(used)["metrics"] == summary(fresh)["metrics"]
    one, two = weights(used), weights(fresh)
    assert all(torch.equal(one[name], two[name]) for name in one)
    stages = [entry["name"] for entry in json.loads((used / "manifest.json").read_text())["stages"]]
    assert stages.count("align") == 2, "of the run that was killed and of its continuation"


def test_averages_of_a_game_do_not_stand_in_the_way(tmp_path: Path) -> None:
    game = [*GOLD, "algo=sppo", "data.game=cycle", f"cache={tmp_path / 'cache'}", "sampling.responses=2"]
    run_here(tmp_path, *game, "trainer.steps=3")
    assert (tmp_path / "checkpoints" / "average.safetensors").is_file()
    found = run_here(tmp_path, *game, "trainer.steps=3", "data.prompts=3", NEVER)
    assert found["gold/average/policies"] == 3


def test_a_metric_that_nobody_measures_is_told_before_a_step(tmp_path: Path) -> None:
    """And the right one may follow in the same folder."""
    run = small(tmp_path, tmp_path / "run", *RAFT)
    with pytest.raises(
        UserError, match="keep_best=eval/typo is no metric of this run's rounds; they have .*eval"
    ):
        run_here(tmp_path / "run", *run, "schedule.keep_best=eval/typo")
    assert not list((tmp_path / "run" / "checkpoints").glob("round-*"))
    found = run_here(tmp_path / "run", *run, "schedule.keep_best=eval/sample_length")
    kept = json.loads((tmp_path / "run" / "checkpoints" / "rounds.json").read_text())
    assert found["eval/sample_length"] == max(metrics["eval/sample_length"] for metrics in kept)
    with pytest.raises(OutputError, match="schedule.keep_best was eval/sample_length, is null"):
        run_here(tmp_path / "run", *run)  # it has its result


def test_a_metric_of_rounds_that_nobody_measures_is_told_after_the_first(tmp_path: Path) -> None:
    run = small(tmp_path, tmp_path / "run", *RAFT, "schedule.keep_best=rounds/typo")
    with pytest.raises(UserError, match="keep_best=rounds/typo is no metric"):
        run_here(tmp_path / "run", *run)
    names = [p.name for p in (tmp_path / "run" / "checkpoints").glob("round-*")]
    assert names == ["round-001.pt"], "which the corrected run begins with"


def test_a_round_that_diverged_is_told_as_that(tmp_path: Path) -> None:
    run = [*GOLD, "algo=spin", "optimizer.lr=1e30", "trainer.clip_grad_norm=null", "trainer.steps=3"]
    with pytest.raises(UserError, match="round 1 diverged: the weights of its policy.*Lower optimizer.lr"):
        run_here(tmp_path, *run, f"cache={tmp_path / 'cache'}")
    assert not list((tmp_path / "checkpoints").glob("round-*"))


def test_and_where_its_weights_look_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a policy of such norms that the next round cannot score it."""
    monkeypatch.setattr(file, "_check_finite", lambda *_: None)
    run = [*GOLD, "algo=spin", "optimizer.lr=1e30", "trainer.clip_grad_norm=null", "trainer.steps=3"]
    with pytest.raises(UserError, match="round 1 diverged: its policy cannot be scored any more"):
        run_here(tmp_path, *run, f"cache={tmp_path / 'cache'}")
