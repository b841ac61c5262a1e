"""One place that every metric passes: ``metrics.jsonl`` always, and the loggers that the config names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xpo.run.files import OutputError, metric_line, output_folder, write_text


@dataclass(frozen=True)
class RunInfo:
    """What a logger may want to know about the run."""

    directory: Path
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)  # resolved, plain containers
    tags: tuple[str, ...] = ()


class Sink(Protocol):
    """Where metrics go. Lightning's loggers are sinks."""

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None: ...
    def finalize(self, status: str) -> None: ...


class LoggerOption(Protocol):
    """A component of the group ``logger``."""

    def open(self, run: RunInfo) -> Iterable[Sink]: ...


class MetricLog:
    """Writes each set of metrics to ``metrics.jsonl`` and to all sinks; rank 0 alone writes.

    A line holds ``stage``, ``step``, ``time`` (seconds since 1970) and the metrics. Sinks get the metrics
    of every stage but ``align`` under the stage's name (``sft/loss``), because they know no stages.
    """

    def __init__(self, run: RunInfo, option: LoggerOption, rank: int = 0) -> None:
        self.path = run.directory / "metrics.jsonl"
        self._sinks: list[Sink] = []
        self._writes = rank == 0
        if self._writes:
            output_folder(run.directory)
            self._sinks = list(option.open(run))
            self._file = _open(self.path)

    def log(self, metrics: Mapping[str, float], step: int, stage: str = "align") -> None:
        """Write metrics of one step. A value that is not finite is null in the file, named beside it."""
        if not self._writes:
            return
        self._file.write(metric_line(metrics, stage=stage, step=step, time=round(time.time(), 3)))
        self._file.flush()
        prefix = "" if stage == "align" else f"{stage}/"
        for sink in self._sinks:
            sink.log_metrics({f"{prefix}{name}": value for name, value in metrics.items()}, step)

    def rewind(self, step: int, stage: str = "align") -> None:
        """Forget lines of a stage past a step: a resumed run writes them again."""
        if not self._writes:
            return
        self._file.close()
        lines = self.path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not _later(line, step, stage)]
        write_text(self.path, "".join(f"{line}\n" for line in kept))
        self._file = _open(self.path)

    def __enter__(self) -> MetricLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.close("success" if kind is None else "failed")

    def close(self, status: str = "success") -> None:
        """Flush and end all sinks; ``status`` is ``success`` or ``failed``."""
        if not self._writes:
            return
        self._file.close()
        for sink in self._sinks:
            sink.finalize(status)


def logged(path: Path, step: int, stage: str = "align") -> dict[str, float]:
    """The metrics that ``metrics.jsonl`` holds for one step, without those that were not finite."""
    found: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        record = json.loads(line)
        if (record.pop("stage"), record.pop("step")) == (stage, step):
            record.pop("time")
            found |= {name: value for name, value in record.items() if isinstance(value, int | float)}
    return found


def _later(line: str, step: int, stage: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return True  # the line that was being written when the run was killed
    return record["stage"] == stage and record["step"] > step


def _open(path: Path) -> Any:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
