"""The policy judges its own responses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from xpo.annotator.base import Desk, LabelError, Labeller, Verdict
from xpo.data.record import Record
from xpo.judge.ask import filling
from xpo.judge.backend import Draw
from xpo.judge.local import LocalBackend
from xpo.judge.template import Template
from xpo.judge.template_file import Kind, read_template
from xpo.registry import register
from xpo.run.say import say

KIND = Kind("additive", frozenset({"prompt", "response"}), frozenset({"prompt", "response"}))
MOST = 5
_SCORE = re.compile(r"\bScore:[ \t*]*(\S*)")


@register("annotator", "self")
@dataclass(frozen=True)
class SelfRewarding(Labeller):
    """The mean of ``n`` scores from 0 to 5 that the policy gives when it is asked for points.

    Self-rewarding: Yuan et al. 2024, arXiv 2401.10020, section 2.2 (there three answers at temperature 0.7).
    Each answer must end in ``Score: `` and a whole number; one that has none, or two that differ, is left
    out of the mean and counted. A response none of whose answers can be read is an error with its row.
    The weights are part of what labels are kept by: a policy that has changed is asked anew.
    ``template``: ``five_points`` or a file; ``seed`` draws the answers.
    """

    bought: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores"})
    needs_policy: ClassVar[bool] = True

    n: int = 3
    temperature: float = 0.7
    max_new_tokens: int = 256
    template: str = "five_points"
    unread: Literal["error", "zero"] = "error"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1 answer, got {self.n}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more and finite, got {self.temperature}")
        if self.temperature == 0 and self.n > 1:
            raise ValueError(f"n must be 1 at temperature 0, where all answers are equal, got {self.n}")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        self._template()

    def fingerprint(self, desk: Desk) -> str:
        """The policy's weights, what it is asked, and how answers are drawn."""
        draws = self.n, self.temperature, self.max_new_tokens, self.unread, self.seed
        return repr((LocalBackend(desk.policy).fingerprint, self._template().text, draws))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Mean scores; ``why`` has every answer."""
        template = self._template()
        asked = [template.question(filling(r.prompt, y)) for r in records for y in r.responses]
        draw = Draw(self.max_new_tokens, self.temperature, self.n, self.seed)
        found, unread = LocalBackend(desk.policy).answers(asked, draw), 0
        for record in records:
            answers = list(itertools.islice(found, len(record.responses)))
            read = [_scores(some) for some in answers]
            unread += sum(self.n - len(some) for some in read)
            if self.unread == "error":
                _check_read(read, answers)
            yield Verdict(scores=tuple(sum(some) / max(1, len(some)) for some in read), why=answers)
        if unread:
            say(f"self: {unread} of {self.n * len(asked)} answers end in no score and were left out")

    def _template(self) -> Template:
        return read_template(KIND, self.template)


def points(answer: str) -> int | None:
    """The score that an answer ends in; None where it has none, or several that differ."""
    found = {text.rstrip(".*") for text in _SCORE.findall(answer)}
    if len(found) != 1:
        return None
    (text,) = found
    return int(text) if re.fullmatch("[0-9]", text) and int(text) <= MOST else None


def _scores(answers: Sequence[str]) -> list[int]:
    """Those that can be read."""
    return [score for answer in answers if (score := points(answer)) is not None]


def _check_read(read: Sequence[Sequence[int]], answers: Sequence[Sequence[str]]) -> None:
    """``LabelError`` for a response of which nothing can be read."""
    for k, (some, said) in enumerate(zip(read, answers, strict=True)):
        if not some:
            raise LabelError(
                f"none of the policy's {len(said)} answers about response {k} ends in 'Score: ' and a whole "
                f"number from 0 to {MOST}; the first is {said[0][-200:]!r}. Raise max_new_tokens or n, "
                "take a policy that follows instructions, or say unread=zero: such a response earns no point"
            )
