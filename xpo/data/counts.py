"""How many rows went in, came out, and why the others did not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counts:
    """A tally of one split. Drops lose rows; notes say what was done to rows that stay."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    unread: tuple[str, ...] = ()  # columns that nothing reads

    def drop(self, reason: str, number: int = 1) -> None:
        if number:
            self.dropped[reason] += number

    def note(self, what: str, number: int = 1) -> None:
        if number:
            self.noted[what] += number

    def reasons(self) -> str:
        """``"3 tie, 1 empty response"``, for error messages."""
        return ", ".join(f"{number} {reason}" for reason, number in self.dropped.most_common()) or "none"

    def as_dict(self) -> dict[str, Any]:
        """Plain containers, for the manifest."""
        return {
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "noted": dict(sorted(self.noted.items())),
            "unread_columns": list(self.unread),
        }


def table(counts: dict[str, Counts]) -> str:
    """Plain lines, one per split and per reason, for a terminal or a log."""
    lines = []
    for split, tally in counts.items():
        lines.append(f"{split}: {tally.read} rows read, {tally.kept} rows made of them")
        lines += [f"  dropped {number:>6}  {reason}" for reason, number in tally.dropped.most_common()]
        lines += [f"  noted   {number:>6}  {what}" for what, number in tally.noted.most_common()]
        if tally.unread:
            lines.append(f"  columns not read: {', '.join(tally.unread)}")
    return "\n".join(lines)
