"""The form of a response."""

from __future__ import annotations

import json
from dataclasses import dataclass

from xpo.registry import register


@register("rule", "format")
@dataclass(frozen=True)
class Format:
    """1 if the response has all of the form that is asked for, else 0.

    It starts with ``starts``, ends with ``ends`` (white space around it left out), is valid JSON (``json``),
    and has for each name in ``tags`` exactly one ``<name>`` and behind it one ``</name>``, in the list's
    order.
    """

    starts: str | None = None
    ends: str | None = None
    json: bool = False
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.starts or self.ends or self.json or self.tags):
            raise ValueError("nothing is asked for: set starts, ends, json or tags")
        odd = [tag for tag in self.tags if not tag or set(tag) & set("<>/")]
        if odd or len(set(self.tags)) < len(self.tags):
            raise ValueError(f"tags must be different names without < > /, got {list(self.tags)}")

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        text = response.strip()
        return float(
            text.startswith(self.starts or "")
            and text.endswith(self.ends or "")
            and (not self.json or _is_json(text))
            and _in_order(text, self.tags)
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return False
    return True


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _in_order(text: str, tags: tuple[str, ...]) -> bool:
    marks = [mark for tag in tags for mark in (f"<{tag}>", f"</{tag}>")]
    places = [text.find(mark) for mark in marks]
    return -1 not in places and places == sorted(places) and all(text.count(mark) == 1 for mark in marks)
