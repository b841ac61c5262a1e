"""Which cells of a grid can run at all, found out before the first one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xpo.sweep.grid import Cell
from xpo.sweep.rows import Row, one_line, row


@dataclass(frozen=True)
class Verdict:
    """A cell's composed config, or the error that it does not compose with."""

    cell: Cell
    config: Any = None
    ranks: int = 1
    error: Exception | None = None


def judge(cell: Cell, config_loader: Any, master: Any) -> Verdict:
    """Compose one cell and build its components; nothing is run and nothing written."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from xpo.compose import build
    from xpo.compose.compose import resolve
    from xpo.errors import UserError

    try:
        config = config_loader.load_sweep_config(master, list(cell.overrides))
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        trainer = build(resolve(own)).trainer
    except (HydraException, OmegaConfBaseException, UserError) as error:
        return Verdict(cell, error=error)
    return Verdict(cell, config, trainer.devices * trainer.nodes)


def rejected(verdicts: list[Verdict]) -> list[Row]:
    """Rows for the cells that cannot run.

    A grid may well contain combinations that have no meaning (a key that one of the swept options does
    not have): these are refused. An option that does not exist, or a setting that fits no cell of the
    sweep, is a mistake: these failed.
    """
    some_run = any(verdict.error is None for verdict in verdicts)
    return [_row(verdict.cell, verdict.error, some_run) for verdict in verdicts if verdict.error is not None]


def _row(cell: Cell, error: Exception, some_run: bool) -> Row:
    from hydra.errors import HydraException, MissingConfigException

    from xpo.compose.errors import Refused
    from xpo.compose.hints import explain_hydra_error

    if isinstance(error, Refused):
        return row(cell, "refused", reason=one_line(error.reason), nearest=error.nearest)
    wrong = isinstance(error, MissingConfigException) or not some_run
    text = (
        explain_hydra_error(error, list(cell.overrides)) if isinstance(error, HydraException) else str(error)
    )
    return row(cell, "failed" if wrong else "refused", reason=one_line(text))
