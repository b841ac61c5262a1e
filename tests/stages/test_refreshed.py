"""Rounds of rollouts: reward models are renewed, policies go on or begin anew; killed, and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.judge.server import Server, prefers_long, serving
from tests.on_policy.files import lines, small
from tests.on_policy.test_runs import watched
from tests.stages.judged import asked_again, bought
from tests.stages.killed import dies_at_entry, dies_at_step
from tests.stages.test_rlaif import KEPT, OWN, same
from tests.stages.tiny import SIZES, WORDS, run_here, summary
from xpo.contracts import Row
from xpo.errors import Waiting
from xpo.on_policy.experience import Rollout

ROUNDS = ("algo=ppo", "schedule=refreshed", "reward.scale=10")
PAIRS, TRAIN, NEW = 24, 18, 5
REWARD_MODELS = ("reward_model", "reward_model-002", "held_out_reward_model")


def pairs(folder: Path) -> Path:
    path = folder / "pairs.jsonl"
    rows = [
        {
            "prompt": f"Say {WORDS[i % 11]} {i}:",
            "chosen": f" {WORDS[i % 7]} {WORDS[i % 5]}",
            "rejected": " no",
        }
        for i in range(PAIRS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def anthropic(folder: Path, cache: str, *annotator: str) -> list[str]:
    """Two rounds, two steps each; a reward model learns for two steps."""
    first = [*annotator, *OWN, KEPT, "trainer.steps=2", "eval.samples=1"]
    quoted = ",".join(f'"{one}"' for one in first)
    return [
        "algo=rlhf_anthropic",
        *SIZES,
        *OWN,
        KEPT,
        f"data.path={pairs(folder)}",
        f"data.pretraining={folder / 'pairs.jsonl'}",
        f'annotator.overrides=[{quoted},"pretraining.steps=1","pretraining.batch_size=4"]',
        f"annotator.refresh={NEW}",
        "schedule.rounds=2",
        "schedule.epochs=1",
        "sampling.max_new_tokens=4",
        "reward.scale=10",
        "sft.steps=2",
        "sft.batch_size=4",
        "logger=none",
        f"cache={folder / cache}",
    ]


def judged(server: Server) -> list[str]:
    return ["annotator=judge", f"annotator.url={server.url}", "annotator.model=m", "annotator.concurrency=1"]


KILLS = (
    (dies_at_entry, "cache/labels", PAIRS + 2),
    (dies_at_step, "reward_model-002/checkpoints", 1),
    (dies_at_step, "checkpoints/align-2", 1),
)


def test_a_round_that_is_killed_asks_nobody_twice(tmp_path: Path) -> None:
    out, cache = tmp_path / "killed", tmp_path / "cache"
    with serving(prefers_long) as server:
        arguments = anthropic(tmp_path, "cache", *judged(server))
        for dies, place, number in KILLS:
            before, known = server.calls, bought(cache)
            dies(place, number, *arguments, f"hydra.run.dir={out}")
            assert not asked_again(known, server.bodies[before:])
        run_here(out, *arguments)
        asked = server.calls
        run_here(tmp_path / "whole", *anthropic(tmp_path, "another", *judged(server)))
    assert server.calls - asked == 2 * (PAIRS + NEW) and asked - (server.calls - asked) in (0, 1)
    same(out, tmp_path / "whole")
    read = {name: json.loads((out / name / "manifest.json").read_text()) for name in REWARD_MODELS}
    first, second, other = (read[name]["sizes"]["train_rows"] for name in REWARD_MODELS)
    new = len(compared(out))
    assert first + other == TRAIN and second == first + new and min(first, other, new) > 2
    ends = [line for line in lines_of(out, "align", "align-2") if "eval/train_score" in line]
    assert len(ends) == 4 and all("eval/held_out_score" in line for line in ends)
    ratings = json.loads((out / "checkpoints" / "ratings.json").read_text())
    assert list(ratings) == ["0", "1", "2"]
    assert summary(out)["metrics"]["rounds/elo"] == pytest.approx(lines_of(out, "rounds-2")[0]["rounds/elo"])


def compared(out: Path) -> list[Row]:
    """Before the second round."""
    kept = torch.load(out / "checkpoints" / "comparisons-002.pt", weights_only=True)
    return Rollout.of(kept).rows


def lines_of(out: Path, *stages: str) -> list[dict[str, Any]]:
    return [line for line in lines(out) if line["stage"] in stages]


def test_people_compare_new_answers(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [a.replace("logger=none", "logger=jsonl") for a in anthropic(tmp_path, "cache")]
    with pytest.raises(Waiting, match=f"waiting: {NEW} of {NEW}"):
        run_here(out, *arguments)
    path = out / "to_label.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == NEW and all(len(row["completions"]) == 2 for row in rows)
    path.write_text("".join(json.dumps(row | {"choice": 2}) + "\n" for row in rows))
    run_here(out, *arguments)
    assert [row.prefer for row in compared(out)] == [[[0.0, 1.0], [0.0, 0.0]]] * NEW


def test_another_half_is_another_run(tmp_path: Path) -> None:
    """Of a reward model that is there already."""
    out = tmp_path / "run"
    arguments = [*anthropic(tmp_path, "cache"), "annotator.refresh=0"]
    run_here(out, *arguments)
    (out / "summary.json").unlink()
    shutil.rmtree(out / "checkpoints")
    with pytest.raises(ValueError, match="data.taken was half 0, is all"):
        run_here(out, *arguments, "annotator.held_out=false")


@pytest.mark.parametrize("begin", ["last", "first"])
def test_a_round_goes_on_or_begins_anew(begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    settings = [*ROUNDS, f"schedule.begin={begin}", "reference=previous", "schedule.epochs=2"]
    rollouts, updates = watched(monkeypatch)
    run_here(out, *small(tmp_path, out, *settings))
    assert [number for number, _ in rollouts] == [0, 1, 2, 3], "numbers go on: no sample is drawn twice"
    assert torch.equal(rollouts[2][1], rollouts[0][1] if begin == "first" else updates[3])
    assert not torch.equal(rollouts[1][1], rollouts[0][1])


def test_losses_of_rows_have_rounds_of_rollouts_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = ["algo=dpo", "sampling=on_policy", "sampling.responses=2", "schedule=refreshed"]
    run_here(out, *small(tmp_path, out, *settings, "trainer.steps=2", "schedule.lr_decay=0.5"))
    first, second = (lines_of(out, stage)[1]["learning_rate"] for stage in ("align", "align-2"))
    assert second == pytest.approx(first / 2)
