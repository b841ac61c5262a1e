"""A prompt that was answered, and what was said of the answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from xpo.contracts import Row
from xpo.data.errors import DataError
from xpo.data.prompts import Prompt
from xpo.data.record import Record
from xpo.run.pieces import pieces


@dataclass(frozen=True)
class Answered:
    """A prompt with its responses: as tokens with the sampler's log-probabilities, and as annotated text."""

    prompt: Prompt
    responses: list[list[int]]
    logps: list[list[float]]
    finished: list[bool]
    record: Record
    values: list[float]

    @property
    def others(self) -> list[int]:
        """Where the record has responses that are not the policy's: rivals', and the data's."""
        return list(range(len(self.responses), len(self.record.responses)))

    def placed(self, tokenizer: Any) -> list[list[float]]:
        """What stands at each response's tokens: a part's worth at the token that holds its last character.

        Raises ``DataError`` where nothing was said of parts.
        """
        if self.record.parts is None:
            raise DataError(f"{self.record.where}: the annotator says nothing of parts of responses")
        rows = zip(self.responses, self.record.parts, strict=True)
        return [_placed(tokenizer, self.prompt.ids, response, parts) for response, parts in rows]

    def row(self) -> Row:
        """What is trained on."""
        return Row(
            self.prompt.ids,
            self.responses,
            scores=self.values,
            costs=None if self.record.costs is None else self.record.costs[: len(self.responses)],
            source=self.record.where,
        )


def _placed(
    tokenizer: Any, prompt: Sequence[int], response: Sequence[int], parts: Sequence[tuple[int, float]]
) -> list[float]:
    ends = list(accumulate(map(len, pieces(tokenizer, prompt, response))))
    found = [0.0] * len(response)
    for end, value in parts:
        found[min(bisect_left(ends, end), len(response) - 1)] += value
    return found
