"""What a run says, and on which process."""

from pathlib import Path

import pytest

from xpo.run import say as module
from xpo.run.say import say, settings, shown


def test_every_key_of_every_group_is_shown():
    config = {
        "algo": {"name": "m"},
        "reward": {"name": "implicit", "beta": 0.3},
        "margin": {"name": "none"},
        "trainer": {"name": "default", "steps": None, "deterministic": True, "betas": [0.9, 0.99]},
        "seed": 4,
        "cache": "outputs/cache",
    }
    lines = settings(config).splitlines()
    assert [line.split() for line in lines] == [
        ["reward", "implicit", "beta=0.3"],
        ["margin", "none"],
        ["trainer", "default", "steps=null", "deterministic=true", "betas=[0.9,0.99]"],
        ["seed", "4"],
        ["cache", "outputs/cache"],
    ]


def test_a_terminal_breaks_lines_between_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "50")
    node = {"name": "default", **{f"key_{i}": 0.5 for i in range(6)}}
    lines = settings({"trainer": node, "seed": 0, "cache": "c"}).splitlines()
    assert max(map(len, lines)) <= 50
    assert all(word.endswith("=0.5") for line in lines[1:-2] for word in line.split())


def test_a_table_of_names_shows_those_that_are_given():
    config = {
        "data": {"name": "jsonl", "columns": {"prompt": "question", "chosen": None}},
        "seed": 0,
        "cache": "c",
    }
    assert "columns={prompt:question}" in settings(config)


def test_paths_are_shown_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "outputs" / "a") == "outputs/a"
    assert shown(tmp_path.parent) == str(tmp_path.parent)


def test_one_process_speaks(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    say("twice")
    monkeypatch.setenv("LOCAL_RANK", "0")
    say("once")
    assert capsys.readouterr().out == "once\n"
