"""One reward per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from xpo.contracts import Divergence, Length
from xpo.data.errors import DataError
from xpo.data.record import Record, Step, Text
from xpo.data.segments import Part, content, separated, taken_apart, visible
from xpo.registry import register


@register("reward_level", "step")
@dataclass(frozen=True)
class StepLevel:
    """Responses are single steps of a solution. Lai et al. 2024, arXiv 2406.18629, eq. 2.

    The prompt holds the question and the steps so far. A step is no end: no EOS is trained behind it. What
    all responses of a row begin with is read as steps so far, too, and does not train. Solutions whose steps
    have labels are taken apart: a head reads the solution at the end of each step (Lightman et al. 2023,
    arXiv 2305.20050), log-ratios are those of each step's tokens. ``neutral`` steps (label 0) count as good
    (as they do in the paper's scores of solutions), are dropped, or are half good and half bad.
    """

    of_parts: ClassVar[bool] = True  # a policy gradient's rewards stand where parts of responses end
    ends: ClassVar[bool] = False
    gives_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = False
    by_spans: ClassVar[bool] = False  # reads spans, which the data alone bring

    neutral: Literal["good", "drop", "half"] = "good"

    @property
    def labels_parts(self) -> bool:
        """Whether its settings say what labels of parts are good."""
        return self.neutral != "good"

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each step, BK."""
        return divergence.link(length.pool(log_ratio_BKT, mask_BKT))

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return link(pool(x))

    def units(self, records: Sequence[Record], nested: bool) -> list[Record]:
        """Each labelled step: ``nested`` as the solution up to its end, else with what is before as prompt.

        Records without labelled steps stay: their responses are steps.
        """
        made: list[Record] = []
        for record in records:
            if record.steps is None:
                made.append(record)
                continue
            for response, steps in zip(record.responses, record.steps, strict=True):
                made += taken_apart(record, response, self._parts(record, response, steps or ()), nested)
        return made

    def check(self, records: Sequence[Record]) -> None:
        """``DataError`` for solutions whose steps have labels and that somebody else labelled as wholes."""
        for record in records:
            if record.steps is not None and (record.scores or record.ranks or record.wins):
                raise DataError(
                    f"{record.where}: the steps of this solution have labels in the data, and the annotator "
                    "labelled it as a whole. annotator=human takes the steps' labels, reward_level=response "
                    "the annotator's"
                )

    def parts(self, text: str, separator: str) -> list[Part]:
        """The steps of a solution that nobody has taken apart."""
        return separated(text, separator)

    def _parts(self, record: Record, response: Text, steps: Sequence[Step]) -> list[Part]:
        share = {1: 1.0, 0: {"good": 1.0, "drop": None, "half": 0.5}[self.neutral], -1: 0.0, None: None}
        found = visible(content(record, response), [step.end for step in steps])
        return [
            Part(part.start, part.end, share[step.label]) for part, step in zip(found, steps, strict=True)
        ]
