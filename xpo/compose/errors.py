"""What can be wrong with a run before it starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from xpo.errors import UserError


class ConfigError(UserError):
    """A config that says something impossible: unknown option or key, wrong type, value out of range."""


class Refused(ConfigError):
    """A combination of valid options that has no meaning, with the reason and the nearest that has one."""

    def __init__(self, reason: str, nearest: tuple[str, ...] = ()) -> None:
        self.reason = reason
        self.nearest = nearest
        hint = f"\nNearest combination that works: {' '.join(nearest)}" if nearest else ""
        super().__init__(f"{reason}{hint}")


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``" Did you mean 'gamma'?"``, all that are equally near; or nothing when no allowed word is near."""

    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(a=other, b=word).ratio()

    near = difflib.get_close_matches(word, set(allowed), n=3, cutoff=0.5)
    nearest = sorted(other for other in near if likeness(other) == likeness(near[0]))
    return f" Did you mean {' or '.join(map(repr, nearest))}?" if near else ""
