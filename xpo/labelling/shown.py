"""One question on the screen: a prompt and its responses, in an order that says nothing."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from xpo.labelling.asked import Asked

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, out of the text that they stand in too."""


def console() -> Console:
    """Standard output; long texts are wrapped at its width."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    return Console(highlight=False, markup=False, emoji=False)


def blind_order(row: Asked, seed: int) -> list[int]:
    """The places of responses in the file, in the order in which they are shown; the same every time."""
    return random.Random(f"{seed} {row.key}").sample(range(len(row.completions)), len(row.completions))


def question(row: Asked, order: Sequence[int], head: str) -> RenderableType:
    """The whole question. Texts are shown as they are, but for characters that would steer the terminal."""
    parts: list[RenderableType] = [Text(), Text(head, style="bold"), Panel(_text(row.prompt), title="prompt")]
    one = len(order) == 1
    for number, place in enumerate(order, 1):
        title = "response" if one else f"response {number}"
        parts.append(Panel(_text(row.completions[place]), title=title, border_style="cyan"))
    return Group(*parts)


def _text(value: Any) -> Text:
    if isinstance(value, str):
        return Text(harmless(value))
    text = Text()
    for turn in value:
        text.append(f"{harmless(str(turn['role']))}: ", style="bold")
        text.append(f"{harmless(str(turn['content']))}\n")
    text.rstrip()
    return text


def harmless(text: str) -> str:
    """Control characters and turns of direction by their number; a tab is four blanks."""
    return "".join(
        f"<U+{ord(mark):04X}>"
        if mark in _TURNING or (unicodedata.category(mark) == "Cc" and mark != "\n")
        else mark
        for mark in text.replace("\r\n", "\n").replace("\t", "    ")
    )
