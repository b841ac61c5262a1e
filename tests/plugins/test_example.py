"""The example plugin works dropped into plugins/ and as a wheel in a fresh environment, core untouched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Xpo = Callable[..., subprocess.CompletedProcess[str]]

SHORT = ("data.records=64", "trainer.steps=2", "optimizer.warmup_steps=null")


@pytest.fixture(params=["dropped", "installed"])
def xpo(request: pytest.FixtureRequest) -> Xpo:
    return request.getfixturevalue(request.param)


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_core_alone_does_not_know_it(bare: Xpo):
    assert "example" not in [row["algo"] for row in json.loads(ok(bare("table", "--format", "json")))]
    done = bare("algo=example")
    assert done.returncode != 0
    assert "algo=example: no such option" in done.stderr


def test_table_lists_the_preset(xpo: Xpo):
    row = next(row for row in json.loads(ok(xpo("table", "--format", "json"))) if row["algo"] == "example")
    assert row["axes"]["divergence"] == "gamma_chi"
    assert row["axes"]["feedback"] == "margin_filter"
    assert len(row["axes"]) == 13


def test_its_options_can_be_explained_beside_the_cores(xpo: Xpo):
    assert "gamma_chi" in ok(xpo("explain", "algo=dpo", "divergence=gamma_chi", "divergence.gamma=2"))


def test_its_values_are_checked_like_the_cores(xpo: Xpo):
    done = xpo("algo=example", "divergence.gamma=-1")
    assert done.returncode != 0
    assert "divergence=gamma_chi: gamma must be above 0" in done.stderr
    assert "got -1.0" in done.stderr


def test_it_trains_on_what_its_feedback_lets_through(xpo: Xpo, tmp_path: Path):
    ok(xpo("algo=example", "feedback.min_gap=0.75", f"hydra.run.dir={tmp_path / 'run'}", *SHORT))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["algo"] == "example"
    rows = json.loads((tmp_path / "run" / "manifest.json").read_text())["dropped_rows"]["train"]
    assert rows["dropped"]["no comparison won by 0.75 or more"] == rows["read"] - rows["kept"] > 0
