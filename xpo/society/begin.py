"""What agents remember before they have met: rows of a file, dealt out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xpo.data.errors import DataError
from xpo.data.lines import read_lines
from xpo.data.record import Message, Text
from xpo.society.memory import Recollection


def first_memories(path: str | None, agents: int) -> list[list[Recollection]]:
    """Of each agent. ``DataError`` names file and line of a row that is no prompt with a completion."""
    found: list[list[Recollection]] = [[] for _ in range(agents)]
    if path is None:
        return found
    place = Path(path).expanduser()
    if not place.is_file():
        raise DataError(f"sampling.memories={path}: there is no such file")
    for number, (where, row) in enumerate(read_lines(place, _stop)):
        if set(row) != {"prompt", "completion"} or not isinstance(row["completion"], str):
            raise DataError(
                f"{where}: a memory has a prompt (a text or messages) and a completion (a text), got "
                f"{', '.join(row) or 'nothing'}"
            )
        found[number % agents].append(Recollection(_text(row["prompt"], where), row["completion"]))
    return found


def _text(value: Any, where: str) -> Text:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_turn(turn) for turn in value):
        return tuple(Message(turn["role"], turn["content"]) for turn in value)
    raise DataError(f"{where}: a prompt is a text or a list of messages (role, content), got {value!r:.60}")


def _is_turn(value: Any) -> bool:
    texts = isinstance(value, dict) and set(value) == {"role", "content"}
    return texts and all(isinstance(text, str) for text in value.values())


def _stop(error: Exception) -> None:
    raise error
