"""What an annotator must keep to; one that needs the policy or a server has tests of its own beside it."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

from xpo.annotator.base import Desk
from xpo.contracts import FEEDBACK
from xpo.data.record import Record
from xpo.testing.tools import require

_SCORES = ((2.0, -1.0, 0.5), (0.25, 0.75))
_RECORDS = tuple(
    Record(
        prompt=prompt,
        responses=responses,
        ranks=tuple(sorted(scores, reverse=True).index(score) for score in scores),
        scores=scores,
        labels=tuple(score > 0.4 for score in scores),
        wins=tuple(tuple(1 / (1 + math.exp(b - a)) for b in scores) for a in scores),
        margins=tuple(tuple(a - b for b in scores) for a in scores),
        costs=tuple(0.5 - score for score in scores),
        where=f"toy:{line}",
    )
    for line, (prompt, responses, scores) in enumerate(
        (("calm river", (" a b", " b", " a"), _SCORES[0]), ("late stone", (" b a", " a a"), _SCORES[1])), 1
    )
)
_SAID = ("ranks", "scores", "labels", "wins", "margins", "costs")
_GIVEN = {"ranks": "comparisons"} | {name: name for name in _SAID[1:]}


def _labelled(annotator: Any, records: tuple[Record, ...] = _RECORDS) -> list[Record]:
    with tempfile.TemporaryDirectory() as cache:
        return list(annotator(list(records), Desk(Path(cache))))


def labels_are_all_that_changes(annotator: Any) -> None:
    found = _labelled(annotator)
    require(len(found) == len(_RECORDS), f"{len(_RECORDS)} records became {len(found)}")
    bare = dict.fromkeys(_SAID)
    for record, was in zip(found, _RECORDS, strict=True):
        other = dataclasses.replace(record, **bare) != dataclasses.replace(was, **bare)  # type: ignore[arg-type]
        require(not other, f"{was.where}: more than its labels changed")
        require(record.labelled, f"{was.where}: nothing is said of it")


def gives_at_most_what_it_declares(annotator: Any) -> None:
    require(annotator.gives <= FEEDBACK, f"gives={sorted(annotator.gives)} is not of {sorted(FEEDBACK)}")
    for record in _labelled(annotator):
        carried = {_GIVEN[name] for name in _SAID if record.__dict__[name] is not None}
        require(carried <= annotator.gives, f"carries {sorted(carried - annotator.gives)}, undeclared")


def labels_are_well_formed(annotator: Any) -> None:
    for record in _labelled(annotator):
        size = len(record.responses)
        for name in _SAID:
            values = record.__dict__[name]
            require(
                values is None or len(values) == size, f"{record.where}: {name} is not of {size} responses"
            )
        for name in ("scores", "costs"):
            numbers = record.__dict__[name]
            require(all(map(math.isfinite, numbers or ())), f"{record.where}: {name} {numbers}")
        for i, row in enumerate(record.wins or ()):
            for j, share in enumerate(row):
                both = share + (record.wins or ())[j][i]
                require(i == j or abs(both - 1) < 1e-6, f"{record.where}: wins of {i} and {j} sum to {both}")


def says_the_same_again(annotator: Any) -> None:
    require(_labelled(annotator) == _labelled(annotator), "other labels, asked again")


def earlier_labels_are_not_read(annotator: Any) -> None:
    """Unless it declares that it needs them."""
    if annotator.needs & {"labels", "gold rewards"}:
        return
    bare = tuple(dataclasses.replace(r, **dict.fromkeys(_SAID)) for r in _RECORDS)  # type: ignore[arg-type]
    require(_labelled(annotator, bare) == _labelled(annotator), "labels depend on what was said before")


def has_a_fingerprint(annotator: Any) -> None:
    with tempfile.TemporaryDirectory() as cache:
        told = annotator.fingerprint(Desk(Path(cache)))
        again = dataclasses.replace(annotator).fingerprint(Desk(Path(cache) / "other"))
    require(isinstance(told, str) and bool(told), f"the fingerprint must be a text, got {told!r}")
    require(
        told == again, "the fingerprint is another for an equal annotator, or depends on the cache's place"
    )


CHECKS = (
    labels_are_all_that_changes,
    gives_at_most_what_it_declares,
    labels_are_well_formed,
    says_the_same_again,
    earlier_labels_are_not_read,
    has_a_fingerprint,
)
