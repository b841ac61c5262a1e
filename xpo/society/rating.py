"""What a peer's words say of an answer: a rating, and a reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST, MOST = 1, 7
_RATING = re.compile(r"\bRating:[\s*_]*([0-9]+(?:[.,][0-9]+)?)?", re.IGNORECASE)
_REASON = re.compile(r"\bReason:", re.IGNORECASE)
_AROUND = " \t\r\n#*_"


@dataclass(frozen=True)
class Opinion:
    """Of one peer; ``rating`` is None where its words hold no whole number from 1 to 7, or several."""

    peer: int
    rating: int | None
    critique: str


def opinion(peer: int, words: str) -> Opinion:
    """Behind "Rating:" the number, behind "Reason:" the critique; without the latter all but the number."""
    parts = _REASON.split(words, maxsplit=1)
    critique = parts[1] if len(parts) > 1 else _RATING.sub("", words)
    found = set(_RATING.findall(parts[0] if _RATING.search(parts[0]) else words))
    return Opinion(peer, _number(found), critique.strip(_AROUND))


def mean(opinions: Sequence[Opinion]) -> float | None:
    """Of the ratings that can be read; None where none can."""
    found = [one.rating for one in opinions if one.rating is not None]
    return sum(found) / len(found) if found else None


def worst_last(opinions: Sequence[Opinion]) -> list[Opinion]:
    """By falling rating, so that the sternest stands nearest to the new answer; those without one first."""
    return sorted(opinions, key=lambda one: -(MOST + 1 if one.rating is None else one.rating))


def _number(found: set[str]) -> int | None:
    if len(found) != 1:
        return None
    (text,) = found
    return int(text) if re.fullmatch("[0-9]+", text) and LEAST <= int(text) <= MOST else None
