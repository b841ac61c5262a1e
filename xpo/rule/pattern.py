"""A regular expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import regex

from xpo.registry import register
from xpo.rule.base import RuleError

SECONDS = 2.0
"""The most that a pattern may take for one response."""


@register("rule", "pattern")
@dataclass(frozen=True)
class Pattern:
    """1 if the pattern is found (``presence``), 1 if it is not (``absence``), or how often it is (``count``).

    The syntax is that of Python's ``re``, as the library ``regex`` has it; ``^`` and ``$`` are the ends of
    lines. Raises ``ValueError`` for a pattern that is none, ``RuleError`` for one that takes more than
    2 seconds: its nested repetitions try exponentially many ways.
    """

    pattern: str = ""
    score: Literal["presence", "absence", "count"] = "presence"
    ignore_case: bool = False

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ValueError("pattern is empty, and would match any response: pattern is the key for it")
        try:
            regex.compile(self.pattern, self._flags)
        except regex.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        try:
            if self.score == "count":
                return float(sum(1 for _ in self._compiled.finditer(response, timeout=SECONDS)))
            found = self._compiled.search(response, timeout=SECONDS) is not None
        except TimeoutError:
            raise RuleError(
                f"the pattern {self.pattern!r} takes more than {SECONDS:g} s for this response of "
                f"{len(response)} characters: write it without repetitions inside of repetitions"
            ) from None
        return float(found != (self.score == "absence"))

    @property
    def _flags(self) -> int:
        return regex.MULTILINE | (regex.IGNORECASE if self.ignore_case else 0)

    @cached_property
    def _compiled(self) -> regex.Pattern[str]:
        return regex.compile(self.pattern, self._flags)
