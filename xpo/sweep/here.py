"""A cell in this process."""

from __future__ import annotations

import gc
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpo.sweep.grid import Cell
from xpo.sweep.rows import Row, metrics_of, one_line, row

_SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class CellInterrupted(Exception):
    """Ctrl-C or a termination request reached a cell: the sweep ends after its row. Says how to go on."""


def run_here(cell: Cell, config: Any, folder: Path, context: Any, task: Callable[[Any], Any]) -> Row:
    """Run one cell as Hydra runs a job; whatever it raises becomes its row.

    Raises ``CellInterrupted`` where a person or the system asked the process to end.
    """
    from hydra.core.utils import run_job
    from omegaconf import open_dict

    with open_dict(config):
        config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder.parent), folder.name
        config.hydra.job.id, config.hydra.job.num = str(cell.number), cell.number
    caught: list[BaseException] = []

    def watched(job_config: Any) -> Any:
        try:
            return task(job_config)
        except BaseException as error:
            caught.append(error)
            raise

    start = time.monotonic()
    try:
        run_job(
            hydra_context=context,
            task_function=watched,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except BaseException as error:  # SystemExit and KeyboardInterrupt pass Hydra; so does a bad folder
        caught.append(error)
    gc.collect()  # a finished cell's model must not stand beside the next one's
    return _row(cell, folder, time.monotonic() - start, caught)


def _row(cell: Cell, folder: Path, seconds: float, caught: list[BaseException]) -> Row:
    from xpo.compose.errors import Refused
    from xpo.errors import UserError, Waiting

    ran = {"dir": str(folder), "seconds": round(seconds, 3)}
    if not caught:
        return row(cell, "done", metrics=metrics_of(folder), **ran)
    error = caught[0]
    if asked_to_end(error):
        raise CellInterrupted(one_line(str(error) if isinstance(error, SystemExit) else "")) from error
    if isinstance(error, Refused):
        return row(cell, "refused", reason=one_line(error.reason), nearest=error.nearest, **ran)
    if isinstance(error, Waiting):
        return row(cell, "waiting", reason=one_line(str(error)), **ran)
    if not isinstance(error, UserError) and folder.is_dir():
        (folder / "error.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return row(cell, "failed", reason=one_line(f"{kind}{error}"), **ran)


def asked_to_end(error: BaseException) -> bool:
    """Whether Ctrl-C or SIGTERM lies behind an error, also where a run has turned it into an exit."""
    if isinstance(error, SystemExit) and error.code in _SIGNALLED:
        return True
    lightning = sys.modules.get("lightning.pytorch.utilities.exceptions")
    kinds = (KeyboardInterrupt, *([lightning.SIGTERMException] if lightning else []))
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kinds):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
