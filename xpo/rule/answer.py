"""A right answer to compare with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from xpo.registry import register
from xpo.rule.base import ReadsAnswer, RuleError

NO_ANSWER = (
    "this row has no answer to compare with: add a column 'answer', or name it with "
    "data.columns.answer=theirs (of rows that are prompt and answer alone, the answer is read as a "
    "demonstration unless data.format=prompts)"
)

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d{1,4})?|(?<![\w.])[-+]?\.\d+")


@register("rule", "answer")
@dataclass(frozen=True)
class Answer(ReadsAnswer):
    """1 if the response's answer is that of the row's column ``answer``, else 0.

    Without ``marker`` the answer is the last number of a text. With one (``"####"``, ``"The answer is"``) it
    is what stands behind its last occurrence, up to the end of the line. Numbers are equal by value (1,000
    is 1000.0), other texts without case, white space and the full stop around them. The column is read the
    same way; where it has no marker, it is the answer as it stands. A response without an answer scores 0;
    ``RuleError`` for a row without one.
    """

    marker: str | None = None

    def __post_init__(self) -> None:
        if self.marker is not None and not self.marker.strip():
            raise ValueError("marker is blank; null is for the last number of a response")

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        if answer is None:
            raise RuleError(NO_ANSWER)
        if self.marker is None:
            right = last_number(answer)
            if right is None:
                raise RuleError(
                    f"the answer {answer!r:.80} of this row has no number; compare texts with a marker"
                )
            return float(last_number(response) == right)
        given = after(response, self.marker)
        return float(given is not None and equal(given, self._right(answer, self.marker)))

    def agree(self, one: str, other: str) -> bool:
        """Whether two columns' answers are the same, as responses are compared with them."""
        if self.marker is None:
            return last_number(one) == last_number(other)
        return equal(self._right(one, self.marker), self._right(other, self.marker))

    def _right(self, answer: str, marker: str) -> str:
        found = after(answer, marker)
        return answer if found is None else found


def last_number(text: str) -> Decimal | None:
    """The last number that stands in a text, thousands separated by commas or not."""
    found = _NUMBER.findall(text)
    return Decimal(found[-1].replace(",", "")) if found else None


def after(text: str, marker: str) -> str | None:
    """What stands behind the last marker in its line; None where there is none."""
    _, mark, rest = text.rpartition(marker)
    return rest.strip().split("\n")[0] if mark else None


def equal(one: str, other: str) -> bool:
    """Two answers, as numbers if both are nothing else."""
    one, other = (text.strip().rstrip(".").strip().casefold() for text in (one, other))
    numbers = [_NUMBER.fullmatch(text) and last_number(text) for text in (one, other)]
    return numbers[0] == numbers[1] if None not in numbers else one == other
