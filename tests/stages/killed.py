"""Runs that kill themselves: the command line in a process of its own, SIGKILL at a given place.

Processes come from a server that has imported everything, so that each starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

PRELOADED = [
    "xpo.stages.run",
    "xpo.annotator.trained",
    "xpo.data.source",
    "xpo.judge.http",
    "datasets",
    "hydra.compose",
]


def dies_at_entry(part: str, number: int, *arguments: str) -> None:
    """SIGKILL once so many entries are on disk of stores whose path holds ``part``."""
    _dies("entry", part, number, arguments)


def dies_at_step(folder: str, number: int, *arguments: str) -> None:
    """SIGKILL at a checkpoint of so many steps, of the training that keeps them where ``folder`` ends."""
    _dies("step", folder, number, arguments)


def _dies(kind: str, part: str, number: int, arguments: tuple[str, ...]) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        process = context.Process(target=_run, args=(kind, part, number, arguments))
        process.start()
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        os.environ.update({} if threads is None else {"OMP_NUM_THREADS": threads})
    process.join(240)
    assert process.exitcode == -signal.SIGKILL, f"not killed at {kind} {number} of {part}: {process.exitcode}"


def _run(kind: str, part: str, number: int, arguments: tuple[str, ...]) -> None:
    from xpo.cli import main

    {"entry": _at_entry, "step": _at_step}[kind](part, number)
    main(list(arguments))


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_entry(part: str, number: int) -> None:
    from xpo.annotator.store import Store

    put, found = Store.put, []

    def counted(self: Any, key: str, value: Any) -> None:
        put(self, key, value)
        if part in str(self._path):
            found.append(key)
            if len(found) == number:
                _kill()

    Store.put = counted


def _at_step(folder: str, number: int) -> None:
    from xpo.run.checkpoints import Checkpoints

    save = Checkpoints.save

    def counted(self: Any, trainer: Any) -> Path:
        path = save(self, trainer)
        if str(self.directory).endswith(folder) and trainer.global_step >= number:
            _kill()
        return path

    Checkpoints.save = counted
