"""Whole runs of a society: with random weights, with peers behind a server, killed and taken up again."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.judge.server import serving
from tests.society.small import OBSERVED, killed_at, rates, served, talking, training
from tests.stages.tiny import run_command, run_here, weights
from xpo.annotator.base import LabelError
from xpo.compose import build, compose_config
from xpo.society.verb import collector_of


def story(out: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (out / "society.jsonl").read_text().splitlines()]


def test_a_run_in_rounds_trains_on_what_agents_said(tmp_path: Path) -> None:
    out = tmp_path / "out"
    metrics = run_here(out, *training(tmp_path, out, *OBSERVED))
    assert metrics and all(math.isfinite(value) for value in metrics.values())
    told = story(out)
    assert [line["begins"] for line in told if "begins" in line] == ["round 1", "round 2"]
    assert all(len(line["answers"]) == 2 and line["answers"][0]["peers"] for line in told if "agent" in line)
    assert any(line.get("learnt") for line in told)
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    sampled = [line for line in logged if line["stage"].startswith("sample")]
    assert len(sampled) == 2 and all(0 <= line["society/improved"] <= 1 for line in sampled)
    assert all(line["time/rate"] > 0 for line in sampled)


def test_ratings_of_random_weights_are_an_error_with_the_row(tmp_path: Path) -> None:
    parts = build(
        compose_config(talking(tmp_path, f"cache={tmp_path / 'cache'}", "sampling.max_critique_tokens=3"))
    )
    collector = collector_of(parts, tmp_path / "out")
    with pytest.raises(
        LabelError, match=r"prompts.jsonl:\d+: none of the 2 peers rates response 0 with 'Rating: '"
    ):
        collector.answers(collector.prompts.train, "round 1", 4)


def test_rollouts_are_answered_by_a_society_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(out, *training(tmp_path, out, *OBSERVED, "schedule=online"))
    begun = [line["begins"] for line in story(out) if "begins" in line]
    assert begun == ["0", "1", "2", "3"]


def test_killed_runs_go_on_and_pay_for_nothing_twice(tmp_path: Path) -> None:
    """Killed while peers rate in the second round; the result is that of a run in one go."""
    with serving(rates) as server:
        whole, again = tmp_path / "whole", tmp_path / "again"
        run_here(whole, *training(tmp_path, whole, *served(server)))
        calls = server.calls
        bodies = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
        assert max(bodies.values()) == 1
        server.bodies.clear()
        overrides = training(tmp_path, again, *served(server))
        killed_at(server, calls - 12, again, *overrides)
        assert (again / "checkpoints" / "samples-001.pt").is_file()
        assert not (again / "checkpoints" / "samples-002.pt").is_file()
        done = run_command(*overrides, f"hydra.run.dir={again}")
        assert done.returncode == 0, done.stdout + done.stderr
        asked = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    twice = [body for body, count in asked.items() if count > 1]
    assert asked.keys() == bodies.keys()
    assert [asked[body] for body in twice] == [2]  # the one that died unanswered
    assert story(again) == story(whole)
    one, other = weights(whole), weights(again)
    assert all(torch.equal(one[name], other[name]) for name in one)
