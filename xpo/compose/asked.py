"""What a user asks of an option, beyond its defaults and what the preset says."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from xpo.written import written

if TYPE_CHECKING:
    from xpo.compose.composition import Composition


def asked(c: Composition, group: str, *keys: str) -> tuple[str, ...]:
    """What sets those keys back that are neither the option's default nor the preset's value for it."""
    part = c.components()[group]
    preset: dict[str, Any] = (c.config.get("hp") or {}).get(group, {}).get(c.option(group)) or {}
    found = []
    for field in fields(part):
        if field.name not in keys:
            continue
        value = vars(part)[field.name]
        said = preset.get(field.name, field.default)
        if value not in (field.default, tuple(said) if isinstance(said, list) else said):
            found.append(f"{group}.{field.name}={written(field.default)}")
    return tuple(found)
