"""A language model rates every response on a scale of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record
from xpo.judge.ask import Judged, filling, judged
from xpo.judge.choice import Asking
from xpo.judge.template import Template
from xpo.judge.template_file import Kind, check_rationale, read_template
from xpo.registry import register

KIND = Kind("score", frozenset({"prompt", "response", "low", "high"}), frozenset({"prompt", "response"}))


@register("annotator", "direct")
@dataclass(frozen=True)
class Direct(Asking, Labeller):
    """The expected score over the numbers from ``low`` to ``high``, rescaled to [-1, 1].

    Direct RLAIF: Lee et al. 2023, arXiv 2309.00267, section 2.2.2. Probabilities are the model's own of each
    number, over their sum. ``rationale_tokens`` above 0: the model first explains itself greedily in at most
    so many tokens. ``template``: ``rater`` or a file; ``exemplars``: JSON lines of its columns. Raises
    ``ValueError`` for a scale that does not rise, and for files that cannot be used.
    """

    bought: ClassVar[bool] = True
    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores"})

    low: int = 1
    high: int = 10
    rationale_tokens: int = 0
    template: str = "rater"
    exemplars: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"low and high must be 0 <= low < high <= 100, got {self.low} and {self.high}")
        check_rationale(self.rationale_tokens)
        self._template()

    def settings(self) -> dict[str, Any]:
        """The template's text instead of its name."""
        return {**super().settings(), "template": self._template().text, "exemplars": None}

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Scores in [-1, 1]; ``why`` has each number's probability."""
        scale = {"low": str(self.low), "high": str(self.high)}
        cases = [{**filling(r.prompt, response), **scale} for r in records for response in r.responses]
        options = [str(number) for number in range(self.low, self.high + 1)]
        with self.open(desk) as backend:
            found = judged(backend, self._template(), options, cases, self.rationale_tokens)
            for record in records:
                said = list(itertools.islice(found, len(record.responses)))
                yield Verdict(scores=tuple(self._score(one) for one in said), why=[vars(one) for one in said])

    def _score(self, said: Judged) -> float:
        """-1 where all mass is at the lowest number, 1 where it is at the highest."""
        expected = sum(p * number for number, p in enumerate(said.shares, self.low))
        return 2 * (expected - self.low) / (self.high - self.low) - 1

    def _template(self) -> Template:
        return read_template(KIND, self.template, self.exemplars, self.rationale_tokens > 0)
