"""The metric log: lines, stages, sinks, a resumed run's rewind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xpo.run.files import OutputError
from xpo.run.log import MetricLog, RunInfo, Sink, logged


@dataclass
class Kept:
    seen: list = field(default_factory=list)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.seen.append((step, metrics))

    def finalize(self, status: str) -> None:
        self.seen.append(status)

    def open(self, run: RunInfo) -> Iterable[Sink]:
        return (self,)


def lines(log: MetricLog) -> list[dict]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def test_lines_and_sinks(tmp_path: Path) -> None:
    sink = Kept()
    with MetricLog(RunInfo(tmp_path / "new", "run"), sink) as log:
        log.log({"loss": 0.5}, 1, "sft")
        log.log({"loss": float("inf")}, 2)
        first, second = lines(log)
    assert (first["stage"], first["step"], first["loss"]) == ("sft", 1, 0.5)
    assert (second["stage"], second["loss"], second["nonfinite"]) == ("align", None, {"loss": "inf"})
    assert sink.seen == [(1, {"sft/loss": 0.5}), (2, {"loss": float("inf")}), "success"]


def test_a_failure_reaches_the_sinks(tmp_path: Path) -> None:
    sink = Kept()
    with pytest.raises(RuntimeError), MetricLog(RunInfo(tmp_path, "run"), sink):
        raise RuntimeError
    assert sink.seen == ["failed"]


def test_the_metrics_of_one_step_are_read_back(tmp_path: Path) -> None:
    assert logged(tmp_path / "metrics.jsonl", 0) == {}
    with MetricLog(RunInfo(tmp_path, "run"), Kept()) as log:
        log.log({"loss": 9.0}, 0, "sft")
        log.log({"eval/loss": 0.5, "eval/x": float("nan")}, 0)
        log.log({"eval/loss": 0.25}, 1)
        assert logged(log.path, 0) == {"eval/loss": 0.5}


def test_rewind_forgets_what_a_resumed_run_writes_again(tmp_path: Path) -> None:
    with MetricLog(RunInfo(tmp_path, "run"), Kept()) as log:
        for stage, step in (("sft", 5), ("align", 1), ("align", 2), ("align", 3)):
            log.log({"loss": 1.0}, step, stage)
        with log.path.open("a") as file:
            file.write('{"stage": "align", "st')  # killed while it wrote
        log.rewind(2)
        log.log({"loss": 2.0}, 3)
        found = [(line["stage"], line["step"], line["loss"]) for line in lines(log)]
    assert found == [("sft", 5, 1.0), ("align", 1, 1.0), ("align", 2, 1.0), ("align", 3, 2.0)]


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    sink = Kept()
    with MetricLog(RunInfo(tmp_path / "run", "run"), sink, rank=1) as log:
        log.log({"loss": 1.0}, 1)
        log.rewind(0)
    assert sink.seen == [] and not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="hydra.run.dir="):
        MetricLog(RunInfo(tmp_path / "file" / "run", "run"), Kept())
