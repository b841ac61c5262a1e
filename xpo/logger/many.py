"""Several loggers at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xpo import registry
from xpo.registry import register
from xpo.run.log import RunInfo, Sink


@register("logger", "many")
@dataclass(frozen=True)
class Many:
    """Each logger named in ``loggers``, with its defaults: ``logger=many logger.loggers=[csv,wandb]``."""

    loggers: tuple[str, ...] = ("csv", "tensorboard")

    def __post_init__(self) -> None:
        allowed = [
            name for name in registry.names("logger") if registry.component("logger", name) is not Many
        ]
        if not self.loggers:
            raise ValueError(f"loggers must name at least one of {', '.join(allowed)}, got none")
        for name in self.loggers:
            if name not in allowed:
                raise ValueError(f"loggers must name options out of {', '.join(allowed)}, got {name!r}")
        if len(set(self.loggers)) < len(self.loggers):
            raise ValueError(f"loggers must name each option once, got {', '.join(self.loggers)}")

    def open(self, run: RunInfo) -> Iterable[Sink]:
        return [sink for name in self.loggers for sink in registry.component("logger", name)().open(run)]
