"""``xpo society``: the lists that it writes can be trained on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.judge.server import serving
from tests.society.small import OBSERVED, rates, served, talking
from tests.stages.tiny import SIZES, run_here
from xpo.cli import main
from xpo.compose.errors import ConfigError
from xpo.society.verb import main as verb
from xpo.society.verb import parsed


def test_lists_are_written_and_can_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(rates) as server:
        asked = [
            *talking(tmp_path, f"cache={tmp_path / 'cache'}", *served(server)),
            f"out={tmp_path / 'new'}",
        ]
        assert verb([*asked, "rounds=2"]) == 0
        calls, lists = server.calls, tmp_path / "new" / "lists.jsonl"
        text = lists.read_text()
        assert verb([*asked, "rounds=2"]) == 0 and server.calls == calls and lists.read_text() == text
    rows = [json.loads(line) for line in text.splitlines()]
    assert "12 lists in" in capsys.readouterr().out and len(rows) == 12  # 6 of 8 prompts are not held out
    assert all(len(row["completions"]) == len(row["scores"]) == 4 for row in rows)
    assert {score * 2 for row in rows for score in row["scores"]} <= set(map(float, range(2, 15)))
    told = [json.loads(line) for line in (tmp_path / "new" / "society.jsonl").read_text().splitlines()]
    said = {one["text"] for line in told if "agent" in line for one in line["answers"]}
    assert {text for row in rows for text in row["completions"]} == said
    steps = ("algo=stable_alignment", "trainer.steps=1", f"cache={tmp_path / 'other'}", "sft.weight=0.5")
    metrics = run_here(tmp_path / "run", *steps, *SIZES, f"data.path={lists}")
    assert metrics["eval/loss"] > 0


def test_what_the_verb_refuses(tmp_path: Path) -> None:
    asked = talking(tmp_path, *OBSERVED)
    for more, said in (
        ([], "xpo society: out is not set"),
        (["out=x", "rounds=0"], "rounds must be at least 1, got 0"),
        (["out=x", "rounds=many"], "rounds must be a whole number"),
        (["out=x", "trainer.steps=3"], "xpo society does not read trainer.steps=3"),
        (["out=x", "sampling=on_policy"], None),
    ):
        with pytest.raises(ConfigError, match=said):
            verb([*asked, *more])
    with pytest.raises(ConfigError, match="nobody talks with sampling=society, as it is set"):
        verb(["algo=sandbox", "out=x"])
    assert parsed(["out=x", "rounds=3", "seed=1"])[1] == ["seed=1"]


def test_the_command_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert not main(["society", "--help"])
    assert "usage: xpo society" in capsys.readouterr().out
