"""Metrics as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xpo.registry import register
from xpo.run.log import RunInfo, Sink


@register("logger", "csv")
@dataclass(frozen=True)
class Csv:
    """``csv/metrics.csv`` in the run's folder, through Lightning's CSVLogger, written every so many logs."""

    flush_every: int = 10

    def __post_init__(self) -> None:
        if self.flush_every < 1:
            raise ValueError(f"flush_every must be at least 1, got {self.flush_every}")

    def open(self, run: RunInfo) -> Iterable[Sink]:
        from lightning.pytorch.loggers import CSVLogger

        return (CSVLogger(run.directory, name="", version="csv", flush_logs_every_n_steps=self.flush_every),)
