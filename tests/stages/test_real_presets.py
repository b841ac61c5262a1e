"""Every preset, the plugins' included: two steps on a few public rows that fit what it declares."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.on_policy.counting import asked, counting
from tests.stages.tiny import learns_steps
from xpo.arrows import arrow_of
from xpo.compose import build, compose_config, presets
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.data.segments import RULES
from xpo.model.tokens import train_bpe
from xpo.stages.job import execute

ROWS = {"train": 12, "test": 4}


@pytest.fixture(scope="module")
def real(tmp_path_factory: Any) -> Path:
    """A folder with slices of the data sets, one tokenizer for them, and a cache."""
    given = os.environ.get("XPO_TEST_DATA")
    if not given:
        pytest.skip("XPO_TEST_DATA names no folder with real data")
    folder, texts = tmp_path_factory.mktemp("real"), []
    for name in ("hh_harmless", "alpaca_judged", "qa_feedback"):
        for split, count in ROWS.items():
            with gzip.open(Path(given) / f"{name}.{split}.jsonl.gz", "rt") as file:
                rows = [with_wins(json.loads(next(file))) for _ in range(count)]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{name}.{split}.jsonl").write_text(text)
            texts += [row["prompt"] for row in rows]
            if name == "qa_feedback":
                solutions = [json.dumps(by_sentence(row)) + "\n" for row in rows]
                (folder / f"solutions.{split}.jsonl").write_text("".join(solutions))
    train_bpe(texts, 384).save_pretrained(folder / "tokenizer")
    return folder


def with_wins(row: dict[str, Any]) -> dict[str, Any]:
    """Human verdicts on all pairs of a list as the win probabilities that they are."""
    if "pairwise" in row:
        row["wins"] = [[0.5] * 4 for _ in range(4)]
        for (i, j), verdict in zip(itertools.combinations(range(4), 2), row["pairwise"], strict=True):
            row["wins"][i][j] = {0: 0.5, 1: 1.0, 2: 0.0}[verdict]
            row["wins"][j][i] = 1 - row["wins"][i][j]
    return row


def by_sentence(row: dict[str, Any]) -> dict[str, Any]:
    """The first answer as steps: its sentences, which people marked as wrong or left unmarked."""
    text, spans = row["completions"][0], row["spans"]
    parts = RULES["sentence"](text)
    marked = [any(span["start"] < part.end and part.start < span["end"] for span in spans) for part in parts]
    steps = [text[part.start : part.end] for part in parts]
    return {"prompt": row["prompt"], "completions": steps, "labels": [not wrong for wrong in marked]}


def fitting(parts: Any) -> str:
    """Answers by sentence for what takes labels of steps, lists judged in pairs for what reads win
    probabilities, scored ones for what reads lists or scores, else human pairs."""
    needs = arrow_of(parts).needs
    if needs >= {"comparisons", "labels"} and not parts.feedback.labels_from_pairs:
        pytest.skip("no real rows at hand say which responses are safe")
    if learns_steps(parts):
        return "solutions"
    if "wins" in needs or parts.reward_level.by_spans:
        return "qa_feedback"
    if parts.sampling.samples:
        return "hh_harmless"  # its prompts; trained models' labels are the test's own
    lists = parts.arity.sizes[1] is None
    scored = bool(needs & {"scores", "margins"}) or not takes_pairs(parts.feedback)
    return "alpaca_judged" if lists or scored else "hh_harmless"


def takes_pairs(feedback: Any) -> bool:
    """Whether it makes anything of a pair that nobody scored."""
    try:
        return bool(feedback([Record("prompt", ("better", "worse"), ranks=(0, 1))], Counts()))
    except DataError:
        return False


UNLABELLED = {"active": ("sft=none", "query.budget=2")}
"""Nothing is labelled before the first round, so that there is nothing to imitate."""


def steps_of(preset: str) -> int:
    """Two, or one for each round."""
    return max(2, compose_config([f"algo={preset}"])["schedule"].get("rounds", 1))


def composed(preset: str, folder: Path) -> Any:
    config = compose_config(
        [
            f"algo={preset}",
            *asked(preset, f"{folder / 'hh_harmless'}.train.jsonl"),
            *UNLABELLED.get(preset, ()),
            "data=jsonl",
            "data.max_length=64",
            "model=scratch",
            f"model.tokenizer={folder / 'tokenizer'}",
            "model.hidden=16",
            "model.layers=1",
            "model.heads=2",
            "model.max_length=64",
            f"trainer.steps={steps_of(preset)}",
            "trainer.batch_size=4",
            "trainer.log_every=1",
            "trainer.accelerator=cpu",
            "eval.samples=1",
            "eval.max_new_tokens=2",
            f"cache={folder / 'cache'}",
        ]
    )
    if "steps" in config["sft"]:
        config["sft"] |= {"steps": 1, "batch_size": 4}
    if "steps" in config["pretraining"]:
        config["pretraining"] |= {"steps": 1, "batch_size": 4}
        config["data"]["pretraining"] = f"{folder / 'hh_harmless'}.train.jsonl"
    if "max_new_tokens" in config["sampling"]:
        config["sampling"]["max_new_tokens"] = 8
    if "peers" in config["sampling"]:  # agents are shown more than prompts, and random weights rate nothing
        config["model"]["max_length"] = 2048
        few = {"max_critique_tokens": 4, "responses": 2, "peers": 1, "agents": 8}
        config["sampling"] |= {**few, "scores": "observer"}
    name = fitting(build(config))
    config["data"] |= {"path": f"{folder / name}.train.jsonl", "test_path": f"{folder / name}.test.jsonl"}
    made = build(config)
    return counting(made) if made.sampling.samples else made


@pytest.mark.parametrize("preset", presets())
def test_two_steps_on_real_rows(preset: str, real: Path, tmp_path: Path) -> None:
    metrics = execute(composed(preset, real), tmp_path)
    assert metrics and all(math.isfinite(value) for value in metrics.values())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(v) for line in lines for v in line.values() if isinstance(v, float))
    norms = [line["grad_norm"] for line in lines if "align" in line["stage"] and "grad_norm" in line]
    assert len(norms) == steps_of(preset) and all(map(math.isfinite, norms)) and any(norms), (
        "nothing was learnt from"
    )
    assert json.loads((tmp_path / "manifest.json").read_text())["scoring"]["path"] == "shared"
