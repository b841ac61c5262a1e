"""Between reading and shaping: blank responses go, the annotator labels what is left."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Annotator, Example, Record, Splits
from xpo.data.shape import ordered
from xpo.data.words import blank
from xpo.errors import Waiting


@dataclass(frozen=True)
class Labelled:
    """Records with the annotator's labels, and the tally of what was left out before."""

    train: list[Record]
    test: list[Record]
    counts: dict[str, Counts]


def label(annotator: Annotator, splits: Splits, desk: Any) -> Labelled:
    """Both splits, each labelled on its own. Raises ``Waiting`` for all that a person has to do at once."""
    counts = {name: copy.deepcopy(tally) for name, tally in splits.counts.items()}
    found: dict[str, list[Record]] = {}
    waiting: list[Waiting] = []
    for name, records in (("train", splits.train), ("test", splits.test)):
        try:
            found[name] = annotator(spoken(records, counts.setdefault(name, Counts())), desk)
        except Waiting as wanted:
            waiting.append(wanted)
    if waiting:
        total = len(splits.train) + len(splits.test)
        raise Waiting(waiting[0].text, sum(one.left for one in waiting), total)
    return Labelled(found["train"], found["test"], counts)


def spoken(records: Sequence[Record], counts: Counts) -> list[Record]:
    """Records without responses of white space; a comparison that loses a side is dropped."""
    kept = []
    for record in records:
        order = [k for k, response in enumerate(record.responses) if not blank(response)]
        if len(order) == len(record.responses):
            kept.append(record)
        elif len(order) < min(2, len(record.responses)):
            counts.drop("empty response")
        else:
            counts.note("empty response left out of its list", len(record.responses) - len(order))
            kept.append(ordered(record, order))
    return kept


def objection(
    feedback: Callable[[Sequence[Record], Counts], list[Example]], needs: frozenset[str]
) -> Callable[..., str]:
    """Why a record, as it is labelled, cannot be trained on; empty if it can.

    ``feedback`` makes examples of records. ``kept``: that it drops the record is an objection too.
    """

    def to(record: Record, kept: bool = False) -> str:
        counts = Counts()
        try:
            examples = feedback([record], counts)
        except DataError as error:
            return str(error)
        if kept and not examples:
            return f"{record.where}: dropped: {counts.reasons()}"
        return next(_lacking(record, examples, needs), "")

    return to


def _lacking(record: Record, examples: Sequence[Any], needs: frozenset[str]) -> Iterator[str]:
    """Of what a label brings along; the rest follows from the order, or is refused before rows are read."""
    for need in sorted(needs & {"scores", "wins", "margins", "costs"}):
        if any(vars(example)[need] is None for example in examples):
            yield f"{record.where}: this combination needs {need}, and the label of this row brings none"
