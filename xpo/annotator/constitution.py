"""A language model compares responses by written principles, and improves them by critique and revision."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from xpo.annotator.base import Desk, LabelError, Labeller, Verdict, content_key
from xpo.data.record import Record
from xpo.judge.ask import Judged, judged
from xpo.judge.choice import Asking
from xpo.judge.principles import Principle, drawn, read_principles
from xpo.judge.template import Template
from xpo.judge.template_file import Kind, TemplateError, check_rationale, read_template
from xpo.judge.turns import spoken
from xpo.registry import register

_HOLES = frozenset({"prompt", "first", "second", "principle"})
KIND = Kind("compare", _HOLES, _HOLES)
AFTER_THOUGHT = (0.4, 0.6)
"""What probabilities after a chain of thought are clamped to; arXiv 2212.08073, section 4.1."""


@register("annotator", "constitution")
@dataclass(frozen=True)
class Constitution(Asking, Labeller):
    """AI labels of Constitutional AI: Bai et al. 2022, arXiv 2212.08073, section 4.1.

    Every pair of a row's responses is compared under one principle, drawn by the content of the row. The
    model is asked in both orders, and P(i beats j) is the mean of the two (Lee et al. 2023, arXiv 2309.00267,
    section 2.1.1; the first paper asks once). ``rationale_tokens`` above 0: a greedy chain of thought of at
    most so many tokens comes first. ``clamp`` bounds the probability of each order; null is [0.4, 0.6] after
    a chain of thought, as in the first paper, and no bound without. ``principles`` null: xpo's own.
    ``template``: ``anthropic``, ``google`` or a file. ``xpo revise`` takes their critiques and revisions.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})

    principles: str | None = None
    rationale_tokens: int = 0
    clamp: tuple[float, float] | None = None
    template: str = "anthropic"
    exemplars: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rationale(self.rationale_tokens)
        if self.clamp is not None and not 0 <= self.clamp[0] <= 0.5 <= self.clamp[1] <= 1:
            raise ValueError(f"clamp must be [low, high] with 0 <= low <= 0.5 <= high <= 1, got {self.clamp}")
        template = self._template()
        if len(template.options) != 2:
            raise TemplateError(
                f"template={self.template}: options must be two texts, the first for the first response, got "
                f"{list(template.options)}"
            )
        read_principles(self.principles, "compare")

    def settings(self) -> dict[str, Any]:
        """What stands in the files instead of their names."""
        known = [one.compare for one in read_principles(self.principles, "compare")]
        files = {"principles": known, "template": self._template().text, "exemplars": None}
        return {**super().settings(), **files, "clamp": self._bounds}

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Win probabilities; ``why`` has each pair's principle and what was said in both orders."""
        principles, template = read_principles(self.principles, "compare"), self._template()
        pairs = [self._pairs(record, principles) for record in records]
        cases = [case for row in pairs for i, j, one, r in row for case in _both(r, i, j, one)]
        with self.open(desk) as backend:
            found = judged(backend, template, template.options, cases, self.rationale_tokens)
            for record, row in zip(records, pairs, strict=True):
                if not row:
                    raise LabelError(
                        "annotator=constitution compares responses, and this row has one; annotator=direct "
                        "scores single ones"
                    )
                said = list(itertools.islice(found, 2 * len(row)))
                yield self._verdict(len(record.responses), row, said)

    def improving(self) -> list[Principle]:
        """The principles that ask for a critique and for a revision; ``TemplateError`` if there is none."""
        return read_principles(self.principles, "critique", "revision")

    def _pairs(self, record: Record, principles: Sequence[Principle]) -> list[tuple[int, int, str, Record]]:
        key = content_key(record)
        return [
            (i, j, drawn(principles, self.seed, key, i, j).compare, record)
            for i, j in itertools.combinations(range(len(record.responses)), 2)
        ]

    def _verdict(self, size: int, row: list[tuple[int, int, str, Record]], said: list[Judged]) -> Verdict:
        wins = [[0.5] * size for _ in range(size)]
        why = []
        for (i, j, principle, _), there, back in zip(row, said[::2], said[1::2], strict=True):
            wins[i][j] = (self._bounded(there) + 1 - self._bounded(back)) / 2
            wins[j][i] = 1 - wins[i][j]
            why.append({"pair": [i, j], "principle": principle, "orders": [asdict(there), asdict(back)]})
        return Verdict(wins=tuple(map(tuple, wins)), why=why)

    def _bounded(self, said: Judged) -> float:
        """The probability that the response shown first is better, within the bounds."""
        low, high = self._bounds
        return min(max(said.shares[0], low), high)

    @property
    def _bounds(self) -> tuple[float, float]:
        if self.clamp is not None:
            return self.clamp
        return AFTER_THOUGHT if self.rationale_tokens else (0.0, 1.0)

    def _template(self) -> Template:
        return read_template(KIND, self.template, self.exemplars, self.rationale_tokens > 0)


def _both(record: Record, i: int, j: int, principle: str) -> list[dict[str, str]]:
    """The question in both orders."""
    prompt, one, other = spoken(record.prompt), spoken(record.responses[i]), spoken(record.responses[j])
    shared = {"prompt": prompt, "principle": principle}
    return [{**shared, "first": one, "second": other}, {**shared, "first": other, "second": one}]
