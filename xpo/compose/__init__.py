"""Composition: overrides to a config, a config to validated components, components to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xpo.compose.compose import compose_config, presets, resolve
from xpo.compose.errors import ConfigError, Refused

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

__all__ = ["ConfigError", "Refused", "build", "compose_config", "presets", "resolve"]


def build(config: dict[str, Any]) -> Composition:
    """Validated components whose combination has a meaning; imports torch.

    Raises ``ConfigError`` for a value, key or type at fault and ``Refused`` for a combination.
    """
    from xpo.compose.compat import check
    from xpo.compose.composition import instantiate

    composition = instantiate(config)
    check(composition)
    return composition
