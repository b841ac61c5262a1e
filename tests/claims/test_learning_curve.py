"""The script runs, and the page says what was measured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from xpo.claims.learning_curve.__main__ import DOCS, LINES, Line, main, section


def test_the_page_has_what_was_measured() -> None:
    stored = json.loads((DOCS / "learning_curve.json").read_text())
    found = {name: values["accuracies"] for name, values in stored.items()}
    seeds = len(found[LINES[0].data][0])
    assert section(found, seeds) in (DOCS / "reward_models.md").read_text()
    assert {line.data: list(line.sizes) for line in LINES} == {n: v["sizes"] for n, v in stored.items()}


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = os.environ.get("XPO_TEST_DATA")
    if not folder:
        pytest.skip("XPO_TEST_DATA names no folder with real data")
    few = (Line("human pairs", "hh_reward", "hh_harmless", (16,)),)
    monkeypatch.setattr("xpo.claims.learning_curve.__main__.LINES", few)
    assert main([folder, "--seeds", "1", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert "| accuracy | " in capsys.readouterr().out
