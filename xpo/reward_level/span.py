"""One reward per sentence, or part of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from xpo.compose.errors import did_you_mean
from xpo.contracts import Divergence, Length
from xpo.data.errors import DataError
from xpo.data.record import Record, Span, Text
from xpo.data.segments import RULES, Part, content, taken_apart
from xpo.registry import register


@register("reward_level", "span")
@dataclass(frozen=True)
class SpanLevel:
    """Responses are segments of an answer, bad where they share a character with an error.

    Wu et al. 2023, arXiv 2306.01693, section 4. ``segments``: sentences, or sub-sentences, by the rules of
    ``xpo.data.segments``. ``span_type``: the type of errors that is learnt, all others are none (null: any
    error is one); the paper trains a model for each. A head reads the answer at the end of each segment,
    log-ratios are those of each segment's tokens. Differs from the paper: segments by rules, no parser.
    """

    of_parts: ClassVar[bool] = True  # a policy gradient's rewards stand where parts of responses end
    ends: ClassVar[bool] = False
    gives_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = False
    by_spans: ClassVar[bool] = True  # reads spans, which the data alone bring
    labels_parts: ClassVar[bool] = True  # its settings say what labels of parts are good

    segments: Literal["sentence", "subsentence"] = "sentence"
    span_type: str | None = None

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each segment, BK."""
        return divergence.link(length.pool(log_ratio_BKT, mask_BKT))

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return link(pool(x))

    def units(self, records: Sequence[Record], nested: bool) -> list[Record]:
        """Each segment of responses whose errors are known, as ``StepLevel.units`` has steps."""
        made: list[Record] = []
        for record in records:
            for response, spans in zip(record.responses, record.spans or (), strict=False):
                if spans is not None:
                    made += taken_apart(record, response, self._labelled(record, response, spans), nested)
        return made

    def check(self, records: Sequence[Record]) -> None:
        """``DataError`` for data without spans, or without errors of the type that is to be learnt."""
        if all(record.spans is None for record in records):
            where = f"{records[0].where}: " if records else ""
            raise DataError(
                f"{where}reward_level=span needs rows with spans of errors (spans: [{{type, start, end}}], "
                "in characters), and no row has any"
            )
        types = Counter(
            span.type for record in records for spans in record.spans or () for span in spans or ()
        )
        if self.span_type is not None and self.span_type not in types:
            found = ", ".join(f"{name} ({number})" for name, number in types.most_common())
            raise DataError(
                f"reward_level.span_type={self.span_type}: no span is of this type; the data have "
                f"{found or 'none at all'}.{did_you_mean(self.span_type, types)}"
            )

    def parts(self, text: str, separator: str) -> list[Part]:
        """The segments of an answer."""
        return RULES[self.segments](text)

    def _labelled(self, record: Record, response: Text, spans: Sequence[Span]) -> list[Part]:
        errors = [span for span in spans if self.span_type in (None, span.type)]
        return [
            Part(part.start, part.end, float(not any(_overlap(part, span) for span in errors)))
            for part in self.parts(content(record, response), "")
        ]


def _overlap(part: Part, span: Span) -> bool:
    return span.start < part.end and part.start < span.end
