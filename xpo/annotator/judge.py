"""A language model compares responses."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from xpo.annotator.base import Desk, LabelError, Labeller, Verdict, content_key
from xpo.contracts import FEEDBACK
from xpo.data.record import Record
from xpo.judge.ask import Judged, judged
from xpo.judge.choice import Asking
from xpo.judge.template import Template, holes
from xpo.judge.template_file import Kind, TemplateError, check_rationale, read_template
from xpo.judge.turns import spoken
from xpo.registry import register

_MUST = frozenset({"prompt", "first", "second"})
KIND = Kind("pair", _MUST | {"instructions"}, _MUST)

INSTRUCTIONS = (
    "Prefer the response that helps more: it does what was asked, is correct, and leaves out what is of no "
    "use. Neither its length nor its place may count."
)
"""What is better, where ``instructions`` do not say it."""

Comparison = tuple[int, int]
"""Which response is shown first, and which second."""


@register("annotator", "judge")
@dataclass(frozen=True)
class Judge(Asking, Labeller):
    """P(i beats j) of all pairs of a prompt's responses: a language model's probabilities of "A" and "B".

    ``both_orders``: a pair is shown both ways and the two probabilities averaged, so that a liking for a
    place cancels exactly (Zheng et al. 2023, arXiv 2306.05685; Lee et al. 2023, arXiv 2309.00267, section 2).
    Else it is shown once, in an order drawn from the texts, as files have the better response first.
    ``rationale_tokens`` above 0: the model compares them greedily in its own words first, in at most so many
    tokens. ``clamp`` bounds the probability of each order, which such words make extreme (Bai et al. 2022,
    arXiv 2212.08073, section 4.1: [0.4, 0.6]). ``template``: ``impartial`` or a file. Scores are mean win
    rates, for which a tie counts one half; it is no answer of its own as in the first paper.

    Raises ``ValueError`` for files that cannot be used, ``LabelError`` naming a row that cannot be judged.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    gives: ClassVar[frozenset[str]] = FEEDBACK - {"margins"}

    both_orders: bool = True
    rationale_tokens: int = 0
    clamp: tuple[float, float] | None = None
    template: str = "impartial"
    exemplars: str | None = None
    instructions: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rationale(self.rationale_tokens)
        low, high = self._bounds
        if not (0 <= low <= 0.5 <= high <= 1 and low < high):
            raise ValueError(
                f"clamp must be [low, high] with 0 <= low <= 0.5 <= high <= 1, low < high, got {self.clamp}"
            )
        template = self._template()
        if len(template.options) != 2:
            raise TemplateError(
                f"template={self.template}: options must be two texts, the first for the first response, got "
                f"{list(template.options)}"
            )
        asked = template.think if self.rationale_tokens else template.ask
        read = set().union(*(holes(turn.content) for turn in (*asked, *template.then)))
        if self.instructions is not None and "instructions" not in read:
            raise TemplateError(f"template={self.template} has no {{instructions}}: leave instructions away")

    def settings(self) -> dict[str, Any]:
        """What stands in the files instead of their names."""
        told = {"template": self._template().text, "exemplars": None, "instructions": self._instructions}
        return {**super().settings(), **told, "clamp": self._bounds}

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        for record in records:  # before the first answer is paid for
            if len(record.responses) < 2:
                raise LabelError(
                    f"{record.where}: annotator=judge compares responses, and this row has one; "
                    "annotator=direct scores single ones"
                )
        return super().__call__(records, desk)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Win probabilities; ``why`` has what was answered to each question, by who was shown first."""
        template = self._template()
        rows = [self._comparisons(record) for record in records]
        cases = [
            self._case(record, *order) for record, row in zip(records, rows, strict=True) for order in row
        ]
        with self.open(desk) as backend:
            found = judged(backend, template, template.options, cases, self.rationale_tokens)
            for record, row in zip(records, rows, strict=True):
                yield self._verdict(len(record.responses), row, list(itertools.islice(found, len(row))))

    def _comparisons(self, record: Record) -> list[Comparison]:
        pairs = list(itertools.combinations(range(len(record.responses)), 2))
        if self.both_orders:
            return [order for i, j in pairs for order in ((i, j), (j, i))]
        return [(j, i) if _drawn(record, i, j) else (i, j) for i, j in pairs]

    def _case(self, record: Record, first: int, second: int) -> dict[str, str]:
        return {
            "prompt": spoken(record.prompt),
            "first": spoken(record.responses[first]),
            "second": spoken(record.responses[second]),
            "instructions": self._instructions,
        }

    def _verdict(self, size: int, row: Sequence[Comparison], said: Sequence[Judged]) -> Verdict:
        low, high = self._bounds
        shown: dict[Comparison, float] = {}
        for order, one in zip(row, said, strict=True):
            shown[order] = min(max(one.shares[0], low), high)
        wins = [[0.5] * size for _ in range(size)]
        for i, j in itertools.permutations(range(size), 2):
            won = [shown[i, j]] if (i, j) in shown else []
            won += [1 - shown[j, i]] if (j, i) in shown else []
            wins[i][j] = sum(won) / len(won)
        why = [{"first": i, "second": j, **asdict(one)} for (i, j), one in zip(row, said, strict=True)]
        return Verdict(wins=tuple(map(tuple, wins)), why=why)

    @property
    def _bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.clamp is None else self.clamp

    @property
    def _instructions(self) -> str:
        return INSTRUCTIONS if self.instructions is None else self.instructions

    def _template(self) -> Template:
        return read_template(KIND, self.template, self.exemplars, self.rationale_tokens > 0)


def _drawn(record: Record, i: int, j: int) -> bool:
    """A coin that the same texts always toss alike."""
    return bool(hashlib.sha256(f"{content_key(record)} {i} {j}".encode()).digest()[0] & 1)
