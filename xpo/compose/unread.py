"""Verbs that read a part of a config refuse the overrides of what they do not read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from xpo.compose.compose import compose_config
from xpo.compose.errors import ConfigError

_PRESETS = ("algo", "experiment", "hp")


def check_read(overrides: list[str], read: Collection[str], verb: str) -> None:
    """``ConfigError`` for an override that changes no group or key of ``read``; presets may set such."""
    config = compose_config(overrides)
    for override in overrides:
        top = override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]
        if top in read:
            continue
        others = [other for other in overrides if other != override]
        if top in _PRESETS and _part(config, read) != _part(compose_config(others), read):
            continue
        raise ConfigError(
            f"{verb} does not read {override}: of a config it reads {', '.join(sorted(read))}. Leave it away"
        )


def _part(config: dict[str, Any], read: Collection[str]) -> dict[str, Any]:
    return {key: config[key] for key in read}
