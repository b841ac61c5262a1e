"""The Hydra sweeper: judge all cells, run those that can run, write each down, end with a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from xpo.sweep.apart import Job, run_apart
from xpo.sweep.board import Board
from xpo.sweep.grid import Cell, expand
from xpo.sweep.here import CellInterrupted, run_here
from xpo.sweep.judge import Verdict, judge, rejected
from xpo.sweep.rows import row

_NOT_FOR_CELLS = (
    "hydra.mode",
    "hydra.sweep",
    "hydra/sweeper",
    "hydra.launcher",
    "hydra/launcher",
    "hydra.run.dir",
)


class XpoSweeper(Sweeper):
    """See ``xpo.sweep``. Ends the process with 1 if a cell failed, 130 if it was interrupted."""

    def __init__(self, processes: int | None = None, params: dict[str, Any] | None = None) -> None:
        if processes is not None and (not isinstance(processes, int) or processes < 1):
            raise ValueError(
                f"hydra.sweeper.processes must be null or a whole number from 1, got {processes!r}"
            )
        self.processes = processes
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        loader = self._context.config_loader
        cells = expand(arguments, self.params, loader)
        folder = Path(str(self._config.hydra.sweep.dir))
        board = Board(folder, len(cells))
        OmegaConf.save(self._config, folder / "multirun.yaml")
        verdicts = [judge(cell, loader, self._config) for cell in cells]
        for item in rejected(verdicts):
            board.add(item)
        accepted = [verdict for verdict in verdicts if verdict.error is None]
        try:
            self._run(accepted, board)
        except (KeyboardInterrupt, CellInterrupted):
            for cell in (verdict.cell for verdict in accepted if not board.has(verdict.cell)):
                board.add(row(cell, "not run"))
        board.finish()
        self._context.callbacks.on_multirun_end(
            config=self._config, config_name=self._config.hydra.job.config_name
        )
        if board.exit_code:
            sys.exit(board.exit_code)
        return board.rows

    def _run(self, accepted: list[Verdict], board: Board) -> None:
        # ranks are made by starting the command line again: in this process that would be the whole sweep
        at_once = self.processes or (1 if any(verdict.ranks > 1 for verdict in accepted) else None)
        if at_once is not None:
            jobs = [Job(verdict.cell, board.folder_of(verdict.cell)) for verdict in accepted]
            run_apart(jobs, at_once, self._shared(), board.add)
            return
        for verdict in accepted:
            board.begins(verdict.cell)
            self._run_one(verdict.cell, verdict.config, board)

    def _run_one(self, cell: Cell, config: DictConfig, board: Board) -> None:
        folder = board.folder_of(cell)
        try:
            board.add(run_here(cell, config, folder, self._context, self._task))
        except (KeyboardInterrupt, CellInterrupted) as stop:
            board.add(row(cell, "interrupted", reason=str(stop), dir=str(folder)))
            raise

    def _shared(self) -> list[str]:
        """The overrides of Hydra's own settings that a cell in its own process needs too."""
        given = OmegaConf.to_container(self._config.hydra.overrides.hydra)
        assert isinstance(given, list)
        return [str(line) for line in given if not str(line).lstrip("+~").startswith(_NOT_FOR_CELLS)]
