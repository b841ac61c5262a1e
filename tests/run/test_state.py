"""Files that a run keeps for the one that takes it up again: missing, damaged, and of something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from xpo.run.files import OutputError
from xpo.run.state import load_json, load_state, round_fix

FIX = "Do this"


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def changed_within(path: Path) -> None:
    """One byte of what was saved, where torch itself does not look."""
    raw = path.read_bytes()
    at = raw.index(b"\x00\x00\x80?\x00\x00\x80?")  # two ones as float32
    path.write_bytes(raw[:at] + b"\x01" + raw[at + 1 :])


def changed_head(path: Path) -> None:
    raw = path.read_bytes()
    at = raw.index(b"ctorch._utils")
    path.write_bytes(raw[: at + 1] + b"x" + raw[at + 2 :])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"a": torch.ones(8)})
    assert load_state(path, FIX, lambda found: float(found["a"].sum())) == 8


@pytest.mark.parametrize("damage", [cut, changed_within, changed_head, emptied])
def test_damage_is_told_with_what_works(tmp_path: Path, damage: Any) -> None:
    path = saved(tmp_path / "a.pt", {"a": torch.ones(8)})
    damage(path)
    with pytest.raises(OutputError, match=r"a\.pt is damaged .*\. Do this\.") as told:
        load_state(path, FIX, dict)
    assert "weights_only" not in str(told.value)


def test_code_is_no_state(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"a": Path("x")})
    with pytest.raises(OutputError, match="holds no plain tensors. Do this") as told:
        load_state(path, FIX, dict)
    assert "weights_only" not in str(told.value)


@pytest.mark.parametrize("value", [{"b": 1}, [1], None])
def test_other_things_are_told(tmp_path: Path, value: Any) -> None:
    with pytest.raises(OutputError, match="is damaged .*Do this"):
        load_state(saved(tmp_path / "a.pt", value), FIX, lambda found: found["a"])


@pytest.mark.parametrize("text", ['{"a": 1', "", "[]", "null"])
def test_json_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"a\.json is damaged .*Do this"):
        load_json(path, FIX, lambda found: found["a"])


def test_what_is_missing_is_not_damaged(tmp_path: Path) -> None:
    for load in (load_state, load_json):
        with pytest.raises(OutputError, match="a is missing. Do this") as told:
            load(tmp_path / "a", FIX, dict)
        assert "damaged" not in str(told.value)


def test_the_way_out_of_a_round() -> None:
    assert "what round 3 and later ones left" in round_fix(3) and "align-3" in round_fix(3)
    assert "round-003.pt" in round_fix(3) and "resume=never" in round_fix(3)
    assert "align and so on" in round_fix(1)
