"""Definitions as lines."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(definitions: Sequence[tuple[str, str]]) -> str:
    """One below the other, names as wide as the widest."""
    width = max(len(name) for name, _ in definitions)
    return "\n".join(f"{name:<{width}} = {expression}" for name, expression in definitions)
