"""The stage before a reward model's own data: what it trains, hands on, keeps, and goes on with."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from tests.stages.tiny import SIZES, WORDS, run_here, stop_at_checkpoint, summary, weights
from xpo.compose import build, compose_config
from xpo.objective.logistic import Logistic
from xpo.stages.pretraining import comparisons_arrow


def write_pairs(path: Path, count: int = 48, shift: int = 0) -> Path:
    """What ends in "calm" is preferred over what ends in "fire", whatever stands before."""
    rows = [
        {
            "prompt": f"Say {WORDS[(i + shift) % 11]} {i + shift}:",
            "chosen": f" {WORDS[(i * 5 + shift) % 11]} calm",
            "rejected": f" {WORDS[(i * 3 + shift) % 11]} fire",
        }
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def overrides(folder: Path, out: Path, *more: str, steps: int = 30) -> list[str]:
    plain = [item for item in SIZES if not item.startswith(("optimizer.", "trainer.clip"))]
    return [
        "algo=reward_pmp",
        f"data.path={write_pairs(folder / 'own.jsonl', 16)}",
        f"data.pretraining={write_pairs(folder / 'others.jsonl', shift=100)}",
        *plain,
        "sft=none",
        f"pretraining.steps={steps}",
        "pretraining.lr=0.01",
        "pretraining.batch_size=8",
        "trainer.steps=2",
        "trainer.threads=1",
        f"cache={out}-cache",
        *more,
    ]


def logged(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "rows_per_second")} for line in lines]


def test_the_run_begins_with_what_others_comparisons_taught(tmp_path: Path) -> None:
    """Before a step on its own data it orders held-out pairs; without the stage it does not."""
    out, bare = tmp_path / "run", tmp_path / "bare"
    run_here(out, *overrides(tmp_path, out))
    (start,) = [line for line in logged(out) if line["stage"] == "align" and line["step"] == 0]
    assert start["eval/rewards/accuracies"] == 1.0 and start["eval/loss"] < 0.4
    arguments = [a for a in overrides(tmp_path, bare) if "pretraining" not in a]
    run_here(bare, *arguments, "pretraining=none")
    (start,) = [line for line in logged(bare) if line["stage"] == "align" and line["step"] == 0]
    assert start["eval/loss"] > 0.6
    stage = [line for line in logged(out) if line["stage"] == "pretraining"]
    assert len(stage) == 30 and stage[-1]["nll_loss"] < stage[0]["nll_loss"]
    kept = json.loads((out / "manifest.json").read_text())["dropped_rows"]["pretraining"]["kept"]
    assert kept == 48


def test_a_finished_stage_is_kept_for_other_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    arguments = overrides(tmp_path, out, steps=3)
    run_here(out, *arguments)
    assert not (out / "checkpoints" / "pretraining").exists()
    assert "pretraining is done already" not in capsys.readouterr().out
    run_here(tmp_path / "again", *arguments)
    assert "pretraining is done already" in capsys.readouterr().out
    ends = [weights(folder) for folder in (out, tmp_path / "again")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    others = ["pretraining.lr=0.02", "pretraining.imitation=0", "reward.members=2", "seed=1"]
    for change in others:
        run_here(tmp_path / change, *arguments, change)
        assert "pretraining is done already" not in capsys.readouterr().out
    assert len(list(Path(f"{out}-cache").glob("pretraining/*.safetensors"))) == 1 + len(others)


def test_a_run_that_was_killed_in_the_stage_ends_where_it_would_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    more = ["trainer.checkpoint_every=5", "trainer.steps=3"]
    run_here(whole, *overrides(tmp_path, whole, *more, steps=60))
    arguments = overrides(tmp_path, halted, *more, steps=60)
    folder = halted / "checkpoints" / "pretraining"
    code, printed = stop_at_checkpoint(folder, *arguments, f"hydra.run.dir={halted}")
    assert code == 128 + signal.SIGTERM, printed
    capsys.readouterr()
    run_here(halted, *arguments)
    assert "pretraining goes on after step" in capsys.readouterr().out
    ends = [weights(folder) for folder in (whole, halted)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert summary(whole)["metrics"] == summary(halted)["metrics"]
    assert logged(whole) == logged(halted)


def test_the_stage_is_bradley_terry_whatever_the_run_trains() -> None:
    def arrow(*changes: str):
        config = compose_config(
            ["algo=reward_pmp", "data=jsonl", "data.path=x", "data.pretraining=y", *changes]
        )
        return comparisons_arrow(build(config))

    changed = arrow("objective=hinge", "margin=data", "label_noise=smoothing", "anchor=centred")
    assert changed.objective == Logistic() and not changed.margin.applies
    assert not changed.label_noise.applies and not changed.anchor.applies
    assert changed.sft.merges and changed.sft.weight == 1.0
    assert not arrow("pretraining.imitation=0").sft.merges
    assert arrow("reward_form=pairwise").reward_form.of_pairs


@pytest.mark.parametrize("key", ["lr=0", "epochs=-1", "batch_size=0", "steps=0", "imitation=-1"])
def test_settings_out_of_range_are_refused(key: str) -> None:
    with pytest.raises(Exception, match=key.partition("=")[0]):
        build(compose_config(["algo=reward_pmp", f"pretraining.{key}"]))
