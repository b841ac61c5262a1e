"""What was bought once: an append-only file of JSON lines, by key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Store:
    """``get`` and ``put`` JSON values. A value is on disk when ``put`` returns; a line cut short is left out.

    Several processes may add to one file: each line is written at once, at its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        self._whole_line = True
        if path.is_file():
            self._read(path.read_text(encoding="utf-8", errors="replace"))

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any | None:
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a value. Raises ``OSError`` if it cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        start = "" if self._whole_line else "\n"
        line = f"{start}{json.dumps({'key': key, 'value': value}, ensure_ascii=False)}\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line.encode())
            os.fsync(file)
        finally:
            os.close(file)
        self._whole_line = True
        self._values[key] = value

    def _read(self, text: str) -> None:
        self._whole_line = not text or text.endswith("\n")
        for line in text.split("\n"):  # a text may hold what Unicode calls the end of a line
            try:
                entry = json.loads(line)
                self._values[entry["key"]] = entry["value"]
            except (ValueError, TypeError, KeyError, RecursionError):  # cut short, or damaged
                continue
