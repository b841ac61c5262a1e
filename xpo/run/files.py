"""Files that are either whole or absent, and JSON that every reader accepts."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpo.errors import UserError


class OutputError(UserError):
    """A folder or file of the run cannot be written."""


def output_folder(path: Path, key: str = "hydra.run.dir") -> Path:
    """Make the folder and prove that files can be written in it; ``OutputError`` says why not.

    ``key``: what on the command line chooses it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {path}: {error.strerror or error}. "
            f"Choose another one with {key}=<folder>."
        ) from error
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a file atomically, as ``write_bytes`` does."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file atomically: a reader, or a run that is killed, never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write plain JSON, indented, atomically; see ``plain`` for what becomes of NaN and paths."""
    return write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run; ``OutputError`` names the file if it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinities as "nan", "inf", "-inf", paths and other objects as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def metric_line(metrics: Mapping[str, float], **head: Any) -> str:
    """A line of ``metrics.jsonl``: a metric that is no finite number is null, and named in ``nonfinite``."""
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    odd = {name: str(float(value)) for name, value in metrics.items() if not math.isfinite(value)}
    record = {**plain(head), **finite, **({"nonfinite": odd} if odd else {})}
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
