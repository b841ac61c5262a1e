"""Raw rows of JSON lines and JSON files, plain or gzipped, with a place for each."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from xpo.data.errors import BadRow, DataError

Raw = tuple[str, dict[str, Any]]
"""(where, the row's columns)"""
OnBad = Callable[[BadRow], None]
"""Stops at a bad row, or counts it."""


class Repeated(ValueError):
    """An object of JSON with a key twice: which value is meant nobody knows."""


def unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An ``object_pairs_hook``: ``Repeated`` for keys that are not different."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Repeated(f"the key {twice!r:.60} stands more than once in an object: keep one of them")
    return found


def read_lines(path: Path, on_bad: OnBad) -> list[Raw]:
    """One JSON object a line; blank lines are passed over. ``where`` is "file:line"."""
    rows = []
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                rows.append((f"{path}:{number}", _line(line, f"{path}:{number}")))
            except BadRow as error:
                on_bad(error)
    return rows


def read_json(path: Path, on_bad: OnBad) -> list[Raw]:
    """A list of JSON objects, or JSON lines under the wrong suffix. ``where`` is "file: row n"."""
    with _opened(path) as file:
        text = _decoded(file.read(), str(path))
    if not text.strip():
        return []
    try:
        content = json.loads(text, object_pairs_hook=unlike)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return read_lines(path, on_bad)
        raise DataError(
            f"{path}:{error.lineno}: not valid JSON at column {error.colno}: {error.msg}"
        ) from None
    except Repeated as error:
        raise DataError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON that can be read: {error}") from None
    if isinstance(content, dict):
        return read_lines(path, on_bad) if "\n" not in text.strip() else [(f"{path}: row 1", content)]
    if not isinstance(content, list):
        raise DataError(
            f"{path}: must hold a list of rows, or one JSON object a line; it holds a text or number"
        )
    return list(_objects(content, str(path), on_bad))


def _objects(content: list[Any], path: str, on_bad: OnBad) -> Iterator[Raw]:
    for number, row in enumerate(content, 1):
        where = f"{path}: row {number}"
        if isinstance(row, dict):
            yield where, row
        else:
            on_bad(BadRow(where, "not an object", f"a row must be a JSON object, got {_kind(row)}"))


def _line(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig").rstrip("\r\n"), object_pairs_hook=unlike)
    except UnicodeDecodeError as error:
        raise BadRow(where, "not UTF-8", f"not UTF-8 at byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise BadRow(where, "broken JSON", f"not valid JSON at column {error.colno}: {error.msg}") from None
    except Repeated as error:
        raise BadRow(where, "a key twice", str(error)) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets as deep
        raise BadRow(where, "broken JSON", f"no JSON that can be read: {error}") from None
    if not isinstance(row, dict):
        raise BadRow(where, "not an object", f"a row must be a JSON object, got {_kind(row)}")
    return row


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from None


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null"}.get(type(value), f"a {type(value).__name__}")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open for reading, unzipped if the content is gzip; reading errors become ``DataError`` too."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if path.suffix == ".gz" and not zipped and path.stat().st_size:
                raise DataError(f"{path}: ends in .gz but is not gzipped; unzip or rename it")
            if not zipped:
                yield file
                return
            with gzip.open(file, "rb") as unzipped:
                yield unzipped  # type: ignore[misc]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: broken gzip ({error}); fetch the file again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
