"""How long a response is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xpo.registry import register


@register("rule", "length")
@dataclass(frozen=True)
class Length:
    """The number of words or characters; with ``least`` or ``most``, 1 if it is between them (both included).

    Words are what white space separates; white space around a response counts for nothing.
    """

    unit: Literal["words", "characters"] = "words"
    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        low, high = self.least, self.most
        if (low is not None and low < 0) or (high is not None and high < (low or 0)):
            raise ValueError(f"least and most must be null or 0 <= least <= most, got {low} and {high}")

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        text = response.strip()
        size = len(text.split()) if self.unit == "words" else len(text)
        if self.least is None and self.most is None:
            return float(size)
        return float((self.least or 0) <= size and (self.most is None or size <= self.most))
