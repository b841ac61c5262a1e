"""Rounds that sample: what is kept of them, and what a run that was killed goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import small
from tests.stages.tiny import run_here, weights
from xpo.data.errors import DataError
from xpo.errors import UserError
from xpo.on_policy.collect import Collector
from xpo.on_policy.experience import Rollout
from xpo.run.training_log import TrainingLog
from xpo.stages import rounds as rounds_file
from xpo.stages import sampler as sampler_file

SIZES = ("sampling.responses=3", "trainer.steps=4", "optimizer.lr=0.05")
RAFT = ("algo=raft", "schedule.rounds=2", *SIZES)
RANK = ("algo=slic_hf_rank", *SIZES)  # one round


def drawn(patched: pytest.MonkeyPatch) -> list[str]:
    """What is drawn from now on to be trained on."""
    found, answers = [], Collector.answers

    def told(self: Collector, prompts: Any, draw: str, number: int, **more: Any) -> Any:
        found.extend([] if more.get("alone") else [draw])
        return answers(self, prompts, draw, number, **more)

    patched.setattr(Collector, "answers", told)
    return found


def kill(patched: pytest.MonkeyPatch, turn: int) -> None:
    """A round that dies before its first step, its samples drawn."""
    align = rounds_file.align

    def killed(alignment: Any) -> Any:
        if alignment.turn.number == turn:
            raise KeyboardInterrupt
        return align(alignment)

    patched.setattr(rounds_file, "align", killed)


def killed_and_resumed(
    out: Path, folder: Path, patch: Any, turn: int, *algo: str
) -> tuple[list[str], list[str]]:
    """What is drawn before and after."""
    with patch.context() as patched:
        first = drawn(patched)
        kill(patched, turn)
        with pytest.raises(KeyboardInterrupt):
            run_here(out, *small(folder, out, *algo))
    with patch.context() as patched:
        second = drawn(patched)
        run_here(out, *small(folder, out, *algo))
    return first, second


def test_a_round_that_was_killed_trains_on_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, again = tmp_path / "whole", tmp_path / "again"
    run_here(whole, *small(tmp_path, whole, *RAFT))
    first, second = killed_and_resumed(again, tmp_path, monkeypatch, 2, *RAFT)
    assert first == ["round 1", "held out in round 1", "round 2", "held out in round 2"]
    assert second == [], "nothing is drawn again"
    one, other = weights(whole), weights(again)
    assert all(torch.equal(one[name], other[name]) for name in one)
    for number in (1, 2):
        files = [folder / "checkpoints" / f"samples-{number:03d}.pt" for folder in (whole, again)]
        rows = [Rollout.of(torch.load(file, weights_only=True)["train"]).rows for file in files]
        assert rows[0] == rows[1]
    assert rows[0] != Rollout.of(torch.load(files[0].with_name("samples-001.pt"))["train"]).rows


def test_a_single_round_keeps_its_samples_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the first step, when its training has begun anew in the folder of its checkpoints."""
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(TrainingLog, "on_train_batch_end", interrupted)
        with pytest.raises(RuntimeError, match="killed"):
            run_here(out, *small(tmp_path, out, *RANK))
    assert (out / "checkpoints" / "samples-001.pt").is_file()
    with monkeypatch.context() as patched:
        again = drawn(patched)
        run_here(out, *small(tmp_path, out, *RANK))
    assert again == []


def interrupted(self: TrainingLog, *given: Any) -> None:
    raise RuntimeError("killed")


def test_a_reference_draws_in_a_single_round_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, seen, drawing = tmp_path / "run", [], sampler_file.drawing

    def told(collector: Collector, reference: Any) -> None:
        drawing(collector, reference)
        seen.append((reference is not None and reference.host is not None, type(collector.engine).__name__))

    monkeypatch.setattr(sampler_file, "drawing", told)
    run_here(
        out, *small(tmp_path, out, *RANK, "sampling=reference", "reference=frozen", "divergence=reverse_kl")
    )
    assert seen == [(True, "Mixture")]


def test_a_new_beginning_draws_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    run_here(out, *small(tmp_path, out, *RANK))
    with monkeypatch.context() as patched:
        again = drawn(patched)
        run_here(out, *small(tmp_path, out, *RANK, "trainer.resume=never"))
    assert again == ["round 1", "held out in round 1"]


def test_samples_of_another_config_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        kill(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            run_here(out, *small(tmp_path, out, *RANK))
    with pytest.raises(UserError, match="sampling.temperature was 1.0, is 0.5"):
        run_here(out, *small(tmp_path, out, *RANK, "sampling.temperature=0.5"))


def test_a_run_without_held_out_prompts(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_here(out, *small(tmp_path, out, *RAFT, "data.test_fraction=0"))
    assert (out / "model" / "model.safetensors").is_file()


def test_rounds_without_a_row_are_told(tmp_path: Path) -> None:
    """Where no pair is left to train on, that is told."""
    out = tmp_path / "run"
    alike = ["annotator.rules=[{name: length, most: 1000}]", "data.test_fraction=0.1"]
    with pytest.raises(DataError, match="no row of round 1 is left"):
        run_here(out, *small(tmp_path, out, *RANK, *alike))
