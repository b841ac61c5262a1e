"""Cells in processes of their own, with a small program in place of ``python -m xpo``."""

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest

from xpo.sweep import apart
from xpo.sweep.grid import Cell

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
given = dict(argument.split("=", 1) for argument in sys.argv[1:])
out = Path(given["hydra.run.dir"][1:-1])
do = given["do"]
if do == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if do == "bad":
    print("noise"); print("xpo: no such file\\nmend it", file=sys.stderr); sys.exit(2)
if do == "ask":
    print("xpo: waiting: 2 of 7 rows", file=sys.stderr); sys.exit(3)
if do == "crash":
    raise RuntimeError("boom")
if do == "wait":
    (out / "begun").touch(); time.sleep(60)
threads = os.environ.get("OMP_NUM_THREADS")
(out / "summary.json").write_text(json.dumps({"metrics": {"x": 1.0}, "threads": threads}))
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    monkeypatch.setattr(apart, "PROGRAM", (sys.executable, str(path)))


def jobs(folder, *what):
    cells = [Cell(n, (f"do={word}",), (f"do={word}",)) for n, word in enumerate(what)]
    return [apart.Job(cell, folder / f"a b {cell.name}") for cell in cells]


def test_nothing_that_a_cell_does_touches_another(tmp_path, program):
    rows = []
    apart.run_apart(jobs(tmp_path, "kill", "crash", "bad", "fine"), 2, ["seed=1"], rows.append)
    found = {row.settings["do"]: (row.status, row.reason) for row in rows}
    assert found["kill"] == ("failed", "killed by SIGKILL (output: console.log)")
    assert found["crash"] == ("failed", "RuntimeError: boom")
    assert found["bad"] == ("failed", "no such file mend it")
    assert found["fine"] == ("done", "")
    assert [row.metrics for row in rows if row.status == "done"] == [{"x": 1.0}]


def test_a_cell_that_waits_is_told_apart(tmp_path, program):
    rows = []
    apart.run_apart(jobs(tmp_path, "ask"), 1, [], rows.append)
    assert (rows[0].status, rows[0].reason) == ("waiting", "waiting: 2 of 7 rows")


def test_ctrl_c_ends_the_running_cells_and_keeps_what_is_done(tmp_path, program, monkeypatch):
    rows = []
    both = jobs(tmp_path, "fine", "wait", "fine")

    def interrupt_once_begun(seconds):
        if (both[1].folder / "begun").exists():
            raise KeyboardInterrupt

    clock = SimpleNamespace(sleep=interrupt_once_begun, monotonic=time.monotonic)
    monkeypatch.setattr(apart, "time", clock)
    with pytest.raises(KeyboardInterrupt):
        apart.run_apart(both, 1, [], rows.append)
    assert [row.status for row in rows] == ["done", "interrupted"]


def test_cells_at_once_share_the_cores(tmp_path, program, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    apart.run_apart(jobs(tmp_path, "fine"), 2, [], lambda row: None)
    summary = json.loads(next(tmp_path.rglob("summary.json")).read_text())
    assert summary["threads"] == str(max(1, (os.cpu_count() or 1) // 2))


@pytest.mark.parametrize("name", ["plain", "it's", "a=b,c", "back\\slash"])
def test_a_cells_folder_survives_hydras_grammar(name, tmp_path):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    quoted = apart._quoted(tmp_path / name)
    parsed = OverridesParser.create().parse_override(f"hydra.run.dir={quoted}")
    assert parsed.value() == str(tmp_path / name)
