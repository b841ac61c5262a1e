"""Principles by which a model judges or improves responses, as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xpo.data.lines import read_lines
from xpo.judge.template_file import TemplateError, read_yaml

SHIPPED = Path(__file__).parent / "principles.yaml"
_KEYS = ("compare", "critique", "revision")


@dataclass(frozen=True)
class Principle:
    """``compare``: which of two responses is better. ``critique``, ``revision``: what is asked about one."""

    compare: str = ""
    critique: str = ""
    revision: str = ""


def read_principles(path: str | None, *parts: str) -> list[Principle]:
    """Those of the file that have these parts; without a path xpo's own twelve.

    A file is a YAML list or JSON lines of objects with ``compare``, or ``critique`` and ``revision``, or all
    three. Raises ``TemplateError`` with the place for anything else, and if none has the parts.
    """
    place = SHIPPED if path is None else Path(path).expanduser()
    if not place.is_file():
        raise TemplateError(f"principles={path}: there is no such file")
    every = [_principle(value, where) for where, value in _entries(place)]
    found = [one for one in every if all(asdict(one)[part] for part in parts)]
    if not found:
        raise TemplateError(f"{place}: no principle has {' and '.join(parts)}")
    return found


def drawn(principles: Sequence[Principle], *key: Any) -> Principle:
    """One of them, the same for the same key."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return principles[int.from_bytes(digest[:8]) % len(principles)]


def _entries(path: Path) -> list[tuple[str, Any]]:
    if ".jsonl" in path.suffixes:
        return list(read_lines(path, _stop))
    content = read_yaml(path)
    if not isinstance(content, list):
        raise TemplateError(f"{path} must be a YAML list of principles, or JSON lines (.jsonl)")
    return [(f"{path}: principle {number}", value) for number, value in enumerate(content, 1)]


def _principle(value: Any, where: str) -> Principle:
    example = "{compare: ..., critique: ..., revision: ...}"
    if not isinstance(value, Mapping) or not value or set(value) - set(_KEYS):
        raise TemplateError(f"{where}: a principle is like {example}, got {value!r:.80}")
    if not all(isinstance(text, str) and text.strip() for text in value.values()):
        raise TemplateError(f"{where}: the parts of a principle are texts, got {dict(value)!r:.80}")
    if ("critique" in value) != ("revision" in value):
        raise TemplateError(f"{where}: critique and revision go together, in {example}")
    return Principle(**value)


def _stop(error: Exception) -> None:
    raise error
