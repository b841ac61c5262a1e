"""A language model compares responses."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.annotator.base import content_key
from xpo.data.record import Record
from xpo.judge.comparing import Comparing, Comparison
from xpo.judge.template import holes
from xpo.judge.template_file import Kind, TemplateError
from xpo.registry import register

_MUST = frozenset({"prompt", "first", "second"})

INSTRUCTIONS = (
    "Prefer the response that helps more: it does what was asked, is correct, and leaves out what is of no "
    "use. Neither its length nor its place may count."
)
"""What is better, where ``instructions`` do not say it."""


@register("annotator", "judge")
@dataclass(frozen=True)
class Judge(Comparing):
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

    kind: ClassVar[Kind] = Kind("pair", _MUST | {"instructions"}, _MUST)

    template: str = "impartial"
    both_orders: bool = True
    instructions: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        template = self.read()
        asked = template.think if self.rationale_tokens else template.ask
        read = set().union(*(holes(turn.content) for turn in (*asked, *template.then)))
        if self.instructions is not None and not self.instructions.strip():
            raise ValueError("instructions is empty: say what is better, or null for those that xpo brings")
        if self.instructions is not None and "instructions" not in read:
            raise TemplateError(f"template={self.template} has no {{instructions}}: leave instructions away")

    def settings(self) -> dict[str, Any]:
        """What stands in the files instead of their names."""
        return {**super().settings(), "instructions": self._instructions}

    def orders(self, record: Record) -> list[Comparison]:
        """Every pair both ways, or once."""
        if self.both_orders:
            return super().orders(record)
        pairs = itertools.combinations(range(len(record.responses)), 2)
        return [(j, i) if _drawn(record, i, j) else (i, j) for i, j in pairs]

    def case(self, record: Record, first: int, second: int) -> dict[str, str]:
        """What is better, the same for every pair."""
        return {"instructions": self._instructions}

    @property
    def _instructions(self) -> str:
        return INSTRUCTIONS if self.instructions is None else self.instructions


def _drawn(record: Record, i: int, j: int) -> bool:
    """A coin that the same texts always toss alike."""
    return bool(hashlib.sha256(f"{content_key(record)} {i} {j}".encode()).digest()[0] & 1)
