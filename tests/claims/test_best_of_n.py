"""The page says what was measured; the script runs; a perfect reward model does not diverge."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from xpo.claims.best_of_n.__main__ import DOCS, NUMBERS, judged, main, section
from xpo.claims.curves import insert
from xpo.gold.world import World


def test_the_page_has_what_was_measured():
    stored = json.loads((DOCS / "best_of_n.json").read_text())
    page = (DOCS / "reward_models.md").read_text()
    text = section(stored["mean"], stored["seeds"])
    assert f"<!-- best_of_n:begin -->\n{text}\n<!-- best_of_n:end -->" in page
    assert tuple(stored["n"]) == NUMBERS
    ElementTree.parse(DOCS / "best_of_n.svg")


def test_what_a_reward_model_says_of_its_choice_parts_from_the_truth():
    """From n = 16 on, in every pair of reward models that was measured."""
    for run in json.loads((DOCS / "best_of_n.json").read_text())["runs"]:
        own, other, gold = (run[name][-1] - run[name][4] for name in ("ranking", "held_out", "gold"))
        assert own > 0.1 and other < own / 2 and gold < own / 10


def test_the_truth_does_not_part_from_itself():
    world = World(prompts=2, symbols=3, max_symbols=2)
    table = judged(world, 2 * world.reward_XN, {"gold": world.reward_XN})
    assert table["gold"] == pytest.approx(table["best"])
    assert table["gold"] == sorted(table["gold"]) and table["kl"] == sorted(table["kl"])
    worst = judged(world, -world.reward_XN, {"gold": world.reward_XN})
    assert worst["gold"][-1] < 0 < table["gold"][-1]


def test_a_section_is_replaced_in_its_place(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- a:begin -->\nold\n<!-- a:end -->\nbelow\n")
    insert(page, "a", "one")
    insert(page, "a", "two")
    assert page.read_text() == "above\n<!-- a:begin -->\ntwo\n<!-- a:end -->\nbelow\n"
    with pytest.raises(ValueError, match="no place for the section b"):
        insert(page, "b", "three")


def test_two_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--seeds", "1", "--steps", "2", "--out", str(tmp_path)]) == 0
    assert "| 64 |" in capsys.readouterr().out
