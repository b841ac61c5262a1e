"""A language model compares responses by written principles, which also ask for revisions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from xpo.annotator.base import content_key
from xpo.data.record import Record
from xpo.judge.choice import Asking
from xpo.judge.comparing import Comparing
from xpo.judge.principles import Principle, drawn, read_principles
from xpo.judge.template_file import Kind
from xpo.registry import register

_HOLES = frozenset({"prompt", "first", "second", "principle"})
AFTER_THOUGHT = (0.4, 0.6)
"""What probabilities after a chain of thought are clamped to; arXiv 2212.08073, section 4.1."""


@register("annotator", "constitution")
@dataclass(frozen=True)
class Constitution(Comparing):
    """P(i beats j) by written principles: the AI labels of Constitutional AI.

    Bai et al. 2022, arXiv 2212.08073, section 4.1. Every pair of a row's responses is compared under one
    principle, drawn by the content of the row. The model is asked in both orders, and P(i beats j) is the
    mean of the two (Lee et al. 2023, arXiv 2309.00267, section 2.1.1; the first paper asks once).
    ``rationale_tokens`` above 0: a greedy chain of thought of at most so many tokens comes first. ``clamp``
    bounds the probability of each order; null is [0.4, 0.6] after a chain of thought, as in the first paper,
    and no bound without. ``principles`` null: xpo's own. ``template``: ``anthropic``, ``google`` or a file.
    ``xpo revise`` takes their critiques and revisions.
    """

    kind: ClassVar[Kind] = Kind("compare", _HOLES, _HOLES)
    revises_with: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Asking)) | {
        "principles"
    }

    template: str = "anthropic"
    principles: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._comparing  # noqa: B018 (raises for a file that cannot be used)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of each order's probability."""
        return AFTER_THOUGHT if self.clamp is None and self.rationale_tokens else super().bounds

    def case(self, record: Record, first: int, second: int) -> dict[str, str]:
        """The principle of a pair, the same in both orders."""
        pair = min(first, second), max(first, second)
        return {"principle": drawn(self._comparing, self.seed, content_key(record), pair).compare}

    def settings(self) -> dict[str, Any]:
        """What stands in the files instead of their names."""
        return {**super().settings(), "principles": [one.compare for one in self._comparing]}

    def improving(self) -> list[Principle]:
        """The principles that ask for a critique and for a revision; ``TemplateError`` if there is none."""
        return read_principles(self.principles, "critique", "revision")

    @cached_property
    def _comparing(self) -> list[Principle]:
        return read_principles(self.principles, "compare")
