"""What a run tells its user in words: once, whatever the number of processes."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpo.run.ranks import rank
from xpo.run.table import is_terminal
from xpo.written import written


def say(text: str) -> None:
    """Print a text, on rank 0 alone."""
    if rank() == 0:
        print(text, flush=True)


def shown(path: Path) -> str:
    """A path as a person would type it: from the working directory where it lies below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def settings(config: Mapping[str, Any]) -> str:
    """The resolved config, a line per group: its option and every key with its value."""
    lines = []
    for group, node in config.items():
        if isinstance(node, Mapping) and "name" in node and group != "algo":
            values = " ".join(f"{key}={written(value)}" for key, value in node.items() if key != "name")
            lines.append((group, f"{node['name']:<12} {values}".rstrip()))
    lines += [(key, written(config[key])) for key in ("seed", "cache")]
    width = max(len(name) for name, _ in lines)
    return "\n".join(_wrapped(f"  {name:<{width}}  {text}", width + 17) for name, text in lines)


def _wrapped(line: str, indent: int) -> str:
    """On a terminal broken between keys at its width, below the first key; a line elsewhere."""
    if not is_terminal():
        return line
    columns = max(shutil.get_terminal_size((100, 24)).columns, indent + 20)
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
