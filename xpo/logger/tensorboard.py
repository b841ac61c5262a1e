"""TensorBoard event files."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from xpo.errors import UserError
from xpo.registry import register
from xpo.run.log import RunInfo, Sink


@register("logger", "tensorboard")
@dataclass(frozen=True)
class TensorBoard:
    """``tensorboard/`` in the run's folder, through Lightning's TensorBoardLogger. Needs its extra."""

    flush_secs: int = 10

    def __post_init__(self) -> None:
        if self.flush_secs < 1:
            raise ValueError(f"flush_secs must be at least 1, got {self.flush_secs}")

    def open(self, run: RunInfo) -> Iterable[Sink]:
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError(
                "logger=tensorboard needs the package tensorboard: pip install 'xpo[tensorboard]', "
                "or choose logger=csv, which needs nothing"
            )
        from lightning.pytorch.loggers import TensorBoardLogger

        return (TensorBoardLogger(run.directory, name="", version="tensorboard", flush_secs=self.flush_secs),)
