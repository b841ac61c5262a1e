"""The whole command on a judge's labels: killed while it labels, gone on with, run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.judge.server import Action, prefers_long, serving
from tests.stages.tiny import ROOT, SIZES, command, environment, run_here, summary

KEY = "sk-very-secret-456"
PAIRS = 10


def written(folder: Path) -> Path:
    """Pairs whose rejected response is the longer one."""
    path = folder / "pairs.jsonl"
    rows = [
        {"prompt": f"Say red {n}:", "chosen": "red", "rejected": f"small round blue {n}"}
        for n in range(PAIRS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def overrides(folder: Path, url: str) -> list[str]:
    return [
        "algo=dpo",
        *SIZES,
        f"data.path={written(folder)}",
        "feedback.soft=true",
        "annotator=judge",
        f"annotator.url={url}",
        "annotator.model=m",
        "annotator.key_variable=TEST_JUDGE_KEY",
        "annotator.concurrency=1",
        "annotator.price_per_million_prompt_tokens=10",
        "annotator.price_per_million_completion_tokens=0",
        "trainer.steps=2",
        "sft.steps=2",
        "sft.batch_size=8",
        "logger=none",
        f"cache={folder / 'cache'}",
    ]


def started(folder: Path, out: str, url: str) -> subprocess.Popen[str]:
    arguments = command(*overrides(folder, url), f"hydra.run.dir={folder / out}")
    env = {**environment(), "TEST_JUDGE_KEY": KEY}
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def test_a_killed_run_goes_on_without_a_second_call_and_trains_on_the_judges_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    running: list[subprocess.Popen[str]] = []
    answered: list[str] = []

    def script(body: dict[str, Any], number: int) -> Action:
        if number == 7:
            os.kill(running[0].pid, signal.SIGKILL)
            return lambda handler: None
        answered.append(json.dumps(body))
        return prefers_long(body, number)

    with serving(script) as server:
        running.append(started(tmp_path, "one", server.url))
        printed = [running[0].communicate(timeout=120)[0]]
        assert running[0].returncode == -signal.SIGKILL and server.calls == 8
        second = started(tmp_path, "two", server.url)
        printed.append(second.communicate(timeout=120)[0])
        assert second.returncode == 0, printed[1]
        monkeypatch.setenv("TEST_JUDGE_KEY", KEY)
        run_here(tmp_path / "three", *overrides(tmp_path, server.url))
    assert len(answered) == 2 * PAIRS and set(Counter(answered).values()) == {1}
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    paid = json.loads((tmp_path / "two" / "judge.json").read_text())
    assert (paid["requests"], paid["cached"]) == (
        2 * PAIRS - 7,
        7 % 2,
    )  # whole pairs are in the store of labels
    assert paid["cost"] == pytest.approx(100 * paid["requests"] * 10 / 1e6)
    assert f"judge m, in this run so far: requests {paid['requests']}" in printed[1]
    assert not (tmp_path / "three" / "judge.json").exists()
    # the judge's labels, not the file's: the longer, rejected response wins with 0.8
    assert summary(tmp_path / "two")["metrics"] == summary(tmp_path / "three")["metrics"]
    labels = (tmp_path / "cache" / "labels").glob("judge-*.jsonl")
    wins = [json.loads(line)["value"]["wins"] for path in labels for line in path.read_text().splitlines()]
    assert len(wins) == PAIRS and all(round(row[0][1], 9) == 0.2 for row in wins)
    samples = [json.loads(line) for line in (tmp_path / "two" / "samples.jsonl").read_text().splitlines()]
    assert all(sample["data_response"].startswith("small round blue") for sample in samples)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10 and not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in "".join(printed)
