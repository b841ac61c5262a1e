"""Tables as text: boxed by rich on a terminal, aligned columns without control characters elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Table:
    """Cells as text; ``right`` names the columns of numbers, by index."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    right: frozenset[int] = frozenset()


def render(table: Table, terminal: bool) -> str:
    """The table, ending in a newline."""
    return _rich(table) if terminal else _plain(table)


def is_terminal(stream: TextIO | None = None) -> bool:
    """May colours and boxes be written to this stream (standard output if none is named)?"""
    out = stream or sys.stdout
    return out.isatty() and os.environ.get("TERM") != "dumb"


def _plain(table: Table) -> str:
    lines = [list(table.head), *map(list, table.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.head))]
    text = [f"{table.title}"] if table.title else []
    for line in lines:
        cells = [
            cell.rjust(width) if i in table.right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text) + "\n"


def _rich(table: Table) -> str:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable()
    for i, name in enumerate(table.head):
        number = i in table.right  # the head of numbers may wrap, an option's name stays whole
        shown.add_column(
            Text(name), justify="right" if number else "left", no_wrap=not number, overflow="fold"
        )
    for row in table.rows:
        shown.add_row(*[Text(cell) for cell in row])
    buffer = io.StringIO()
    width = shutil.get_terminal_size((100, 24)).columns
    console = Console(file=buffer, force_terminal=True, width=width)
    if table.title:  # as a line of its own: rich would wrap it at the table's width
        console.print(Text(table.title, style="bold"))
    console.print(shown)
    return buffer.getvalue()
