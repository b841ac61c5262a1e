"""What a run tells its user in words: once, whatever the number of processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def say(text: str) -> None:
    """Print a text, on rank 0 alone."""
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0":
        print(text, flush=True)


def settings(config: Mapping[str, Any]) -> str:
    """The resolved config, a line per group: its option and every key with its value."""
    lines = []
    for group, node in config.items():
        if isinstance(node, Mapping) and "name" in node and group != "algo":
            values = " ".join(f"{key}={_short(value)}" for key, value in node.items() if key != "name")
            lines.append((group, f"{node['name']:<12} {values}".rstrip()))
    lines += [(key, _short(config[key])) for key in ("seed", "cache")]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in lines)


def _short(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")
