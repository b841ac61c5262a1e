"""Whole runs on files with a rule that scores: what they leave, who samples, how they go on."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.on_policy.files import lines, small
from tests.stages.tiny import run_here, summary, weights
from xpo.module.off_policy import OffPolicyModule
from xpo.on_policy.collect import Collector


def test_prompts_alone_are_enough(tmp_path: Path) -> None:
    out = tmp_path / "run"
    metrics = run_here(out, *small(tmp_path, out))
    assert {"eval/sample_score", "eval/sample_length", "eval/sample_finished"} <= metrics.keys()
    assert all(math.isfinite(value) for value in metrics.values())
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    sampled = [line["step"] for line in logged if "time/sample" in line]
    assert sampled == [1, 5], "two rollouts of four steps"
    for line in logged[1:-1]:
        assert line["time/update"] > 0
    for line in (logged[1], logged[5]):
        assert all(line[f"time/{phase}"] > 0 for phase in ("annotate", "score"))
        assert 0 <= line["rollout/sampler_gap"] < 1e-5 and 0 < line["rollout/length"] <= 5
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert {line["when"] for line in samples} == {"before", "after"}
    assert all(line["data_response"] is None for line in samples)
    assert (out / "model" / "model.safetensors").is_file() and (out / "model" / "README.md").is_file()
    assert json.loads((out / "manifest.json").read_text())["sizes"]["prompts_per_rollout"] == 8


def watched(monkeypatch: pytest.MonkeyPatch, stop: int | None = None) -> tuple[list[Any], list[Any]]:
    """The policy's weights at each rollout, with its number, and after each update; SIGTERM at one."""
    rollouts, updates = [], []
    draw, update = Collector.rollout, OffPolicyModule.optimizer_step

    def seen(policy: Any) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in policy.parameters()])

    def rollout(self: Collector, indices: Any, number: int, again: int = 0) -> Any:
        rollouts.append((number, seen(self.policy.model)))
        return draw(self, indices, number, again)

    def step(self: OffPolicyModule, *args: Any, **kwargs: Any) -> None:
        update(self, *args, **kwargs)
        updates.append(seen(self.policy))
        if len(updates) == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Collector, "rollout", rollout)
    monkeypatch.setattr(OffPolicyModule, "optimizer_step", step)
    return rollouts, updates


@pytest.mark.parametrize("budget", [10_000, 1])
def test_a_rollout_is_drawn_by_the_policy_that_the_last_update_left(
    budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    rollouts, updates = watched(monkeypatch)
    run_here(out, *small(tmp_path, out, f"trainer.tokens_per_micro_batch={budget}"))
    assert [number for number, _ in rollouts] == [0, 1] and len(updates) == 8
    assert torch.equal(rollouts[1][1], updates[3]), "nothing is sampled ahead"
    assert not torch.equal(rollouts[1][1], updates[2])


CASES = {
    "ppo": [],
    "safe_rlhf": ["algo=safe_rlhf", "data=gold", "annotator=gold", "annotator.exact=true", "reward.scale=1"],
}


ROWS = [
    *("algo=kto", "sampling=on_policy", "schedule=online", "schedule.epochs=2", "schedule.minibatches=2"),
    "sampling.responses=3",
]


@pytest.mark.parametrize("case", [*CASES, "rows"])
def test_a_run_that_is_stopped_within_a_rollout_goes_on_with_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit as if nothing had happened, and no prompt is answered again."""
    files = {"ppo": ["penalty.target=0.5", "penalty.horizon=50"], "rows": ROWS}.get(case, [])
    own = CASES.get(case)

    def arguments(out: Path) -> list[str]:
        given = small(tmp_path, out, *files)
        if not own:
            return given
        unread = ("data.", "annotator", "model", "algo", "data=", "reward.scale")
        return [*own, *(a for a in given if not a.startswith(unread)), "sft=none"]

    whole, halted = tmp_path / "whole", tmp_path / "halted"
    run_here(whole, *arguments(whole))
    with monkeypatch.context() as patched:
        first, _ = watched(patched, stop=6)
        with pytest.raises(SystemExit):
            run_here(halted, *arguments(halted))
    assert [number for number, _ in first] == [0, 1]
    (checkpoint,) = (halted / "checkpoints").glob("*.ckpt")
    assert checkpoint.stem == "step-00000006"
    with monkeypatch.context() as patched:
        second, updates = watched(patched)
        run_here(halted, *arguments(halted))
    assert second == [] and len(updates) == 2, "the saved rollout has two steps left"
    one, other = weights(whole), weights(halted)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert summary(whole)["metrics"] == summary(halted)["metrics"]
    assert lines(whole) == lines(halted)


def test_a_resampled_run_counts_in_its_manifest(tmp_path: Path) -> None:
    out = tmp_path / "run"
    alike = ["annotator.rules=[{name: length, most: 1000}]", "sampling.responses=2", "sampling.resample=2"]
    run_here(out, *small(tmp_path, out, "algo=dapo", *alike, "trainer.steps=2"))
    counts = json.loads((out / "manifest.json").read_text())["rollouts"]
    assert counts == {"prompts drawn again": 2 * 2 * 4, "rollouts at the cap": 2}
