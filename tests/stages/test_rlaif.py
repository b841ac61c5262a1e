"""Runs that a judge teaches: critiques and revisions, then a reward model, then PPO, killed in each stage."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.judge.server import Server, serving
from tests.on_policy.files import prompts
from tests.stages.judged import asked_again, bought, entries, model_in, says
from tests.stages.killed import dies_at_entry, dies_at_step
from tests.stages.tiny import SIZES, run_here, summary, weights

OWN = ("trainer.batch_size=4", "trainer.steps=4", "trainer.threads=1", "trainer.accelerator=cpu")
KEPT = "trainer.checkpoint_every=1"
REVISED = ("revision.rounds=1", "revision.max_new_tokens=8", "sft.steps=4", "sft.batch_size=4")
PROMPTS, TRAIN = 12, 9


def overrides(folder: Path, cache: str, *judge: str, algo: str = "rlaif_anthropic") -> list[str]:
    """Four steps of each training; ``judge`` says who is asked."""
    quoted = ",".join(f'"{one}"' for one in (*judge, *OWN, KEPT, "eval.samples=1"))
    told = judge if algo == "rlaif_google_direct" else (f"annotator.overrides=[{quoted}]",)
    return [
        f"algo={algo}",
        *SIZES,
        *OWN,
        KEPT,
        f"data.path={prompts(folder)}",
        "data.format=prompts",
        *told,
        "sampling.max_new_tokens=5",
        "logger=none",
        f"cache={folder / cache}",
        *(REVISED if algo == "rlaif_anthropic" else ["sft=none"]),
    ]


def served(server: Server) -> list[str]:
    thinks = "annotator.rationale_tokens=2"
    return [f"annotator.url={server.url}", "annotator.model=m", "annotator.concurrency=1", thinks]


def same(one: Path, other: Path) -> None:
    """Bit by bit."""
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert summary(one)["metrics"] == summary(other)["metrics"]


KILLS = (
    (dies_at_entry, "cache/revisions", 4),
    (dies_at_step, "checkpoints/sft", 2),
    (dies_at_entry, "cache/labels", 3),
    (dies_at_step, "reward_model/checkpoints", 2),
    (dies_at_step, "killed/checkpoints", 2),
)


def test_a_run_that_is_killed_in_each_stage_asks_no_judge_twice(tmp_path: Path) -> None:
    out, cache = tmp_path / "killed", tmp_path / "cache"
    with serving(says) as server:
        arguments = overrides(tmp_path, "cache", *served(server))
        for dies, place, number in KILLS:
            before, known = server.calls, bought(cache)
            dies(place, number, *arguments, f"hydra.run.dir={out}")
            assert not asked_again(known, server.bodies[before:])
            assert server.calls == before or place != "killed/checkpoints", "everything is labelled"
        run_here(out, *arguments)
        asked, labels = server.calls, entries(cache, "labels/*.jsonl")
        run_here(tmp_path / "whole", *overrides(tmp_path, "another", *served(server)))
    # an answer, a critique and a revision of each prompt; a pair of answers, twice, after a rationale
    needed = TRAIN * 3 + 2 * 2 * PROMPTS
    assert server.calls - asked == needed and needed <= asked <= needed + 2, (
        "two kills cut off a request each"
    )
    assert len(labels) == len(set(labels)) == PROMPTS
    same(out, tmp_path / "whole")
    revisions = [json.loads(line) for line in (out / "revisions.jsonl").read_text().splitlines()]
    assert len(revisions) == TRAIN and all(row["completion"] for row in revisions)
    sub = json.loads((out / "reward_model" / "manifest.json").read_text())
    assert sub["axes"]["annotator"] == "constitution" and sub["axes"]["sampling"] == "on_policy"
    stages = [stage["name"] for stage in json.loads((out / "manifest.json").read_text())["stages"]]
    assert stages[-6:] == ["revision", "reward_model", "load", "sft", "align", "export"]


def test_a_model_of_this_machine_is_a_judge_too(tmp_path: Path) -> None:
    """Killed as it revises, and as it labels."""
    out, cache, judge = tmp_path / "killed", tmp_path / "cache", f"annotator.path={model_in(tmp_path / 'm')}"
    arguments = overrides(tmp_path, "cache", judge, "annotator.rationale_tokens=0")
    for place, number in (("-answers", 12), ("cache/labels", 3)):
        known = entries(cache, "*/*.jsonl")
        dies_at_entry(place, number, *arguments, f"hydra.run.dir={out}")
        assert entries(cache, "*/*.jsonl") != known
    metrics = run_here(out, *arguments)
    assert all(map(math.isfinite, metrics.values()))
    stored = [entries(cache, pattern) for pattern in ("revisions/*-answers.jsonl", "labels/*.jsonl")]
    assert [len(keys) for keys in stored] == [3 * TRAIN, PROMPTS] == [len(set(keys)) for keys in stored]


@pytest.mark.parametrize("algo", ["rlaif_google", "rlaif_google_direct"])
def test_rlaif_of_google(algo: str, tmp_path: Path) -> None:
    """Killed while samples are scored, or while the policy is trained; the distilled one samples pairs."""
    out, cache = tmp_path / "killed", tmp_path / "cache"
    with serving(says) as server:
        arguments = overrides(tmp_path, "cache", *served(server), algo=algo)
        dies_at_entry("cache/labels", 3, *arguments, f"hydra.run.dir={out}")
        known = bought(cache)
        run_here(out, *arguments)
        assert known and not asked_again(known, server.bodies[len(known) + 1 :])
        assert server.most_often <= 2 and (out / "model" / "model.safetensors").is_file()
