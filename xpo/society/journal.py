"""What was said in a society, line by line: a story for a person, from which memories are made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpo.annotator.base import plain_text
from xpo.data.record import Message, Text
from xpo.run.files import write_text
from xpo.society.memory import Memory, Recollection


class Journal:
    """A file of JSON lines, or with ``path`` None a list.

    A line that ``begins`` a draw stands before what was said in it. A draw that comes again (of a run that
    was killed in it) finds what was said before it, and takes the rest of the file away.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines = [] if path is None or not path.is_file() else _read(path)

    def begin(self, draw: str) -> None:
        """Go back to where the draw began, if it has, and mark its beginning."""
        mark = {"begins": draw}
        places = [place for place, line in enumerate(self._lines) if line == mark]
        if places:
            del self._lines[places[0] :]
        self._lines.append(mark)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, _text(self._lines))

    def add(self, lines: Sequence[dict[str, Any]]) -> None:
        """What was said in a turn."""
        self._lines += lines
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_text(lines))

    def memories(self, agents: int, most: int, begin: Sequence[Sequence[Recollection]]) -> list[Memory]:
        """Of each agent: what it had at the ``begin``, then what it learnt, line by line."""
        found = [Memory(most) for _ in range(agents)]
        for memory, first in zip(found, begin, strict=True):
            for one in first:
                memory.learn(one)
        for line in self._lines:
            if line.get("learnt") is not None:
                found[line["agent"]].learn(_recollection(line["learnt"]))
        return found


def learnt(one: Recollection | None) -> dict[str, Any] | None:
    """As the journal has it."""
    if one is None:
        return None
    return {
        "question": plain_text(one.question),
        "answer": one.answer,
        "rating": one.rating,
        "critiques": list(one.critiques),
    }


def _recollection(line: Mapping[str, Any]) -> Recollection:
    return Recollection(text_of(line["question"]), line["answer"], line["rating"], tuple(line["critiques"]))


def text_of(plain: Any) -> Text:
    """What ``plain_text`` was made of."""
    return plain if isinstance(plain, str) else tuple(Message(role, content) for role, content in plain)


def _read(path: Path) -> list[dict[str, Any]]:
    """All lines up to one that was cut short."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            break
        found.append(entry)
    return found


def _text(lines: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
