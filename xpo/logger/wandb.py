"""Weights & Biases, without network unless there is a key."""

from __future__ import annotations

import importlib.util
import netrc
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xpo.errors import UserError
from xpo.registry import register
from xpo.run.files import plain
from xpo.run.log import RunInfo, Sink


@register("logger", "wandb")
@dataclass(frozen=True)
class Wandb:
    """A wandb run through Lightning's WandbLogger, its files in ``wandb/`` of the run's folder.

    ``mode: auto`` is online where an API key is found (``WANDB_API_KEY`` or the netrc file) and offline
    where not; ``online`` without a key is an error at the start of the run. The resolved config is saved.
    """

    project: str = "xpo"
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"

    def open(self, run: RunInfo) -> Iterable[Sink]:
        if importlib.util.find_spec("wandb") is None:
            raise UserError("logger=wandb needs the package wandb: pip install wandb, or choose logger=csv")
        mode = self.resolved_mode()
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        experiment = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            name=run.name,
            tags=[*run.tags, *self.tags],
            dir=run.directory,
            config=plain(run.config),
            mode=mode,
            settings=wandb.Settings(silent=True, console="off"),
        )
        return (_Ending(WandbLogger(experiment=experiment), experiment),)

    def resolved_mode(self) -> Literal["online", "offline", "disabled"]:
        """The mode that the run will have; ``UserError`` for online without a key."""
        if self.mode == "auto":
            return "online" if has_key() else "offline"
        if self.mode == "online" and not has_key():
            raise UserError(
                "logger.mode=online needs an API key, and there is none: run `wandb login`, set "
                "WANDB_API_KEY, or use logger.mode=offline"
            )
        return self.mode


@dataclass(frozen=True)
class _Ending:
    """Lightning's logger leaves its run open; a sweep in one process needs each to end."""

    logger: Sink
    experiment: Any

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.logger.log_metrics(metrics, step)

    def finalize(self, status: str) -> None:
        self.logger.finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def has_key() -> bool:
    """Is there an API key for the host that ``WANDB_BASE_URL`` names?"""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0]
    try:
        return netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
