"""Values as a person types them on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


def written(value: Any) -> str:
    """``null``, ``true``, ``[0.9,0.99]``: what ``key=`` takes. A mapping shows the keys that are given."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{written(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    return str(value)


def reset(group: str, component: Any) -> list[str]:
    """The settings that give a component's fields their defaults where they have other values."""
    return [
        f"{group}.{field.name}={written(field.default)}"
        for field in dataclasses.fields(component)
        if vars(component)[field.name] != field.default
    ]
