"""What annotators have in common that show a language model two responses at a time."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from xpo.annotator.base import Desk, LabelError, Labeller, Verdict
from xpo.contracts import FEEDBACK
from xpo.data.record import Record
from xpo.judge.ask import Judged, judged
from xpo.judge.choice import Asking
from xpo.judge.template import Template
from xpo.judge.template_file import Kind, TemplateError, check_rationale, read_template
from xpo.judge.turns import spoken

Comparison = tuple[int, int]
"""Which response is shown first, and which second."""


@dataclass(frozen=True)
class Comparing(Asking, Labeller):
    """P(i beats j) of all pairs of a row's responses, from the probabilities of a template's two options.

    Where a pair is shown in both orders the two probabilities are averaged. ``clamp`` bounds that of each
    order. Raises ``ValueError`` for files that cannot be used, ``LabelError`` for a row of one response.
    """

    bought: ClassVar[bool] = True
    kind: ClassVar[Kind]
    gives: ClassVar[frozenset[str]] = FEEDBACK - {"margins", "costs"}
    quadratic: ClassVar[bool] = True
    compares: ClassVar[bool] = True  # it says nothing of a response alone

    rationale_tokens: int = 0
    clamp: tuple[float, float] | None = None
    template: str = ""
    exemplars: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rationale(self.rationale_tokens)
        low, high = self.bounds
        if not (0 <= low <= 0.5 <= high <= 1 and low < high):
            raise ValueError(
                f"clamp must be [low, high] with 0 <= low <= 0.5 <= high <= 1, low < high, got {self.clamp}"
            )
        options = self.read().options
        if len(options) != 2:
            raise TemplateError(
                f"template={self.template}: options must be two texts, the first for the first response, got "
                f"{list(options)}"
            )

    @abstractmethod
    def case(self, record: Record, first: int, second: int) -> dict[str, str]:
        """What fills the template, beside what ``shown`` gives."""

    def orders(self, record: Record) -> list[Comparison]:
        """What is asked about a row: every pair both ways."""
        pairs = itertools.combinations(range(len(record.responses)), 2)
        return [order for i, j in pairs for order in ((i, j), (j, i))]

    @property
    def bounds(self) -> tuple[float, float]:
        """Of each order's probability."""
        return (0.0, 1.0) if self.clamp is None else self.clamp

    def read(self) -> Template:
        """The template with its exemplars."""
        return read_template(self.kind, self.template, self.exemplars, self.rationale_tokens > 0)

    def settings(self) -> dict[str, Any]:
        """What stands in the files instead of their names."""
        files = {"template": self.read().text, "exemplars": None}
        return {**super().settings(), **files, "clamp": self.bounds}

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        for record in records:  # before the first answer is paid for
            if len(record.responses) < 2:
                raise LabelError(
                    f"{record.where}: annotator={type(self).__name__.lower()} compares responses, and this "
                    "row has one; annotator=direct scores single ones"
                )
        return super().__call__(records, desk)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Win probabilities; ``why`` has what was answered to each question, by who was shown first."""
        template = self.read()
        rows = [self.orders(record) for record in records]
        cases = [
            {**shown(record, *order), **self.case(record, *order)}
            for record, row in zip(records, rows, strict=True)
            for order in row
        ]
        with self.open(desk) as backend:
            found = judged(backend, template, template.options, cases, self.rationale_tokens)
            for record, row in zip(records, rows, strict=True):
                yield self._verdict(record, row, list(itertools.islice(found, len(row))))

    def _verdict(self, record: Record, row: Sequence[Comparison], said: Sequence[Judged]) -> Verdict:
        (low, high), size = self.bounds, len(record.responses)
        first_wins = {order: min(max(one.shares[0], low), high) for order, one in zip(row, said, strict=True)}
        wins = [[0.5] * size for _ in range(size)]
        for i, j in itertools.permutations(range(size), 2):
            won = [first_wins[i, j]] if (i, j) in first_wins else []
            won += [1 - first_wins[j, i]] if (j, i) in first_wins else []
            wins[i][j] = sum(won) / len(won)
        why = [
            {"first": i, "second": j, **self.case(record, i, j), **asdict(one)}
            for (i, j), one in zip(row, said, strict=True)
        ]
        return Verdict(wins=tuple(map(tuple, wins)), why=why)


def shown(record: Record, first: int, second: int) -> dict[str, str]:
    """The texts of a comparison."""
    return {
        "prompt": spoken(record.prompt),
        "first": spoken(record.responses[first]),
        "second": spoken(record.responses[second]),
    }
