"""Progress of tokenising, caching, training and evaluating: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TextIO

from xpo.run.ranks import rank

INTERVAL = 5.0
"""Seconds between plain lines."""

_CUT: Any = {"no_wrap": True, "overflow": "ellipsis"}


class Bar(Protocol):
    """What ``progress`` yields."""

    def advance(self, count: int = 1, metrics: Mapping[str, float] | None = None) -> None: ...


@contextlib.contextmanager
def progress(
    total: int | None,
    description: str,
    *,
    start: int = 0,
    stream: TextIO | None = None,
    interval: float = INTERVAL,
) -> Iterator[Bar]:
    """Show how far a loop of ``total`` items is (None: unknown); ``advance`` after each item.

    ``advance(metrics=...)`` shows numbers beside it. Ranks other than 0 show nothing; ``start`` is where a
    resumed loop begins.
    """
    out = stream or sys.stderr
    if _silent():
        yield _Nothing()
    elif out.isatty() and os.environ.get("TERM") != "dumb":
        with _rich(total, description, start, out) as bar:
            yield bar
    else:
        line = _Lines(total, description, out, interval, done=start)
        yield line
        line.close()


class _Nothing:
    def advance(self, count: int = 1, metrics: Mapping[str, float] | None = None) -> None:
        """Show nothing."""


class _Lines:
    """A line at most every ``interval`` seconds and one at the end, without control characters."""

    def __init__(self, total: int | None, description: str, out: TextIO, interval: float, done: int) -> None:
        self._total, self._description, self._out, self._interval = total, description, out, interval
        self._start, self._done = done, done
        self._begin = self._last = time.monotonic()
        self._metrics: Mapping[str, float] = {}

    def advance(self, count: int = 1, metrics: Mapping[str, float] | None = None) -> None:
        self._done += count
        self._metrics = metrics or self._metrics
        if time.monotonic() - self._last >= self._interval:
            self._print("")

    def close(self) -> None:
        self._print(", done")

    def _print(self, ending: str) -> None:
        self._last = time.monotonic()
        seconds = self._last - self._begin
        rate = (self._done - self._start) / seconds if seconds > 0.1 else 0.0
        share = f"/{self._total}" if self._total is not None else ""
        speed = f", {rate:.3g}/s" if rate else ""
        numbers = f"  {show(self._metrics)}" if self._metrics else ""
        print(
            f"{self._description} {self._done}{share} ({seconds:.0f} s{speed}{ending}){numbers}",
            file=self._out,
            flush=True,
        )


@contextlib.contextmanager
def _rich(total: int | None, description: str, start: int, out: TextIO) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        # the only column that gives way on a narrow terminal: it is cut, the bar and its counts stay whole
        TextColumn("{task.fields[numbers]}", style="dim", markup=False, table_column=Column(ratio=1, **_CUT)),
    )
    with Progress(*columns, console=Console(file=out), refresh_per_second=8, expand=True) as shown:
        task = shown.add_task(description, total=total, completed=start, numbers="")

        class _Rich:
            def advance(self, count: int = 1, metrics: Mapping[str, float] | None = None) -> None:
                changes: dict[str, Any] = {"numbers": show(_short(metrics))} if metrics else {}
                shown.update(task, advance=count, **changes)

        yield _Rich()


def show(metrics: Mapping[str, float]) -> str:
    """Metrics as a short text: ``loss 0.6931  rewards/margins 0.12``."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _short(metrics: Mapping[str, float]) -> dict[str, float]:
    """Names by their last part: a terminal is narrow, and the full ones stand in ``metrics.jsonl``."""
    return {name.rsplit("/", 1)[-1]: value for name, value in metrics.items()}


def _silent() -> bool:
    return rank() != 0 or os.environ.get("XPO_PROGRESS") == "none"
