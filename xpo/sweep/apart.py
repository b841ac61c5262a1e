"""Cells in processes of their own: a crash, a kill or DDP inside one touches nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xpo.sweep.board import WAITING
from xpo.sweep.grid import Cell
from xpo.sweep.rows import Row, metrics_of, one_line, row

PROGRAM = (sys.executable, "-m", "xpo")
GRACE_SECONDS = 20.0  # between asking a cell to end and ending it


@dataclass(frozen=True)
class Job:
    """A cell and where it runs."""

    cell: Cell
    folder: Path


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    start: float

    @property
    def console(self) -> Path:
        return self.job.folder / "console.log"


def run_apart(jobs: list[Job], processes: int, shared: list[str], ended: Callable[[Row], None]) -> None:
    """Run every job as a fresh ``python -m xpo``, at most ``processes`` at once; ``ended`` gets each row.

    ``shared`` are further overrides for all. On Ctrl-C or SIGTERM the running cells are asked to end,
    then ended, get their rows, and ``KeyboardInterrupt`` goes on.
    """
    waiting, running = list(jobs), []
    environment = _environment(processes)
    try:
        with _terminated_is_interrupted():
            while waiting or running:
                while waiting and len(running) < processes:
                    running.append(_start(waiting.pop(0), shared, environment))
                time.sleep(0.05)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    ended(_row(one))
    finally:
        _end(running, ended)


def _start(job: Job, shared: list[str], environment: dict[str, str]) -> _Running:
    job.folder.mkdir(parents=True, exist_ok=True)
    own = [*job.cell.overrides, *shared, f"hydra.run.dir={_quoted(job.folder)}"]
    with (job.folder / "console.log").open("wb") as console:
        process = subprocess.Popen(
            [*PROGRAM, *own],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which then ends its cells
        )
    return _Running(job, process, time.monotonic())


def _quoted(path: Path) -> str:
    return "'" + str(path.absolute()).replace("'", "\\'") + "'"


def _environment(processes: int) -> dict[str, str]:
    """The cells share the cores; two cells that each take all of them are slower than one after the other."""
    environment = dict(os.environ)
    if processes > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    return environment


def _row(one: _Running) -> Row:
    code = one.process.returncode
    ran = {"dir": str(one.job.folder), "seconds": round(time.monotonic() - one.start, 3)}
    if code == 0:
        return row(one.job.cell, "done", metrics=metrics_of(one.job.folder), **ran)
    status = "waiting" if code == WAITING else "failed"
    return row(one.job.cell, status, reason=_reason(code, one.console), **ran)


def _reason(code: int, console: Path) -> str:
    """Why a process ended: the signal, else xpo's own message, else the last line that it printed."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name} (output: {console.name})"
    lines = [line.strip() for line in console.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    ours = [number for number, line in enumerate(lines) if line.startswith("xpo: ")]
    if ours:
        return one_line(" ".join(lines[ours[-1] :]).removeprefix("xpo: "))
    return one_line(lines[-1]) if lines else f"ended with exit code {code} and said nothing"


def _end(running: list[_Running], ended: Callable[[Row], None]) -> None:
    for one in running:
        _signal(one, signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(one, signal.SIGKILL)
            one.process.wait()
        seconds = round(time.monotonic() - one.start, 3)
        ended(row(one.job.cell, "interrupted", dir=str(one.job.folder), seconds=seconds))


def _signal(one: _Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid, number)  # its own session: the cell and its DDP ranks, nothing else


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
