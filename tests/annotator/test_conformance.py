"""The kit over annotators that can be asked without a server, and over some that are broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.annotator.elo import Elo
from xpo.annotator.gold import Gold
from xpo.annotator.human import Human
from xpo.annotator.preference_model import PreferenceModel
from xpo.annotator.reward_model import RewardModel
from xpo.annotator.rule import RuleAnnotator
from xpo.data.record import Record
from xpo.explain.matrix_data import GOLD
from xpo.explain.stand_ins import stand_ins
from xpo.testing import Check, checks_for, failures

PLAIN: list[Any] = [
    Human(),
    Elo(),
    Gold(),
    Gold(noise=0.2, ties=3.0, intransitivity=1.0, scale=0.5, seed=4),
    RuleAnnotator(({"name": "length", "most": 2},), threshold=0.5),
]


@pytest.mark.parametrize("annotator", PLAIN, ids=repr)
@pytest.mark.parametrize("check", checks_for("annotator"), ids=lambda check: check.__name__)
def test_annotators(annotator: Any, check: Check) -> None:
    check(annotator)


def test_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    _, scores, pairs = stand_ins(GOLD, tmp_path_factory.mktemp("stand-ins") / "gold")
    assert failures(RewardModel(scores["path"]), "annotator") == []
    assert failures(PreferenceModel(pairs["path"]), "annotator") == []


@dataclass(frozen=True)
class Broken(Labeller):
    """Not yet: longer is better."""

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "scores"})
    stored: ClassVar[bool] = False

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            yield Verdict(tuple(float(len(str(response))) for response in record.responses))


class Parrots(Broken):
    """Reads what was said before."""

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            yield Verdict(record.scores or (0.0,) * len(record.responses))


class Undeclared(Broken):
    """Says which ones are good, too."""

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for verdict in super().judge(records, desk):
            assert verdict.scores is not None
            yield dataclasses.replace(verdict, labels=tuple(score > 2 for score in verdict.scores))


class Cleans(Broken):
    """Changes what it judges."""

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        return [
            dataclasses.replace(record, responses=tuple(str(y).strip() for y in record.responses))
            for record in super().__call__(records, desk)
        ]


class Sorts(Broken):
    """Gives them back in another order."""

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        return super().__call__(records, desk)[::-1]


class Places(Broken):
    """Counts a cache elsewhere as another annotator."""

    def fingerprint(self, desk: Desk) -> str:
        return str(desk.cache)


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Parrots, "earlier_labels_are_not_read"),
        (Undeclared, "gives_at_most_what_it_declares"),
        (Cleans, "labels_are_all_that_changes"),
        (Sorts, "labels_are_all_that_changes"),
        (Places, "has_a_fingerprint"),
    ],
)
def test_broken_ones_are_caught(broken: type[Broken], caught: str) -> None:
    assert failures(Broken(), "annotator") == []
    assert [failure.partition(":")[0] for failure in failures(broken(), "annotator")] == [caught]
