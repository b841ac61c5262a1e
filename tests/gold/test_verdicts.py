"""Other annotators in the gold world: what they say is trained on, what is measured is the true reward."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.gold.test_source import SMALL, composed
from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.arity.list import List
from xpo.arity.single import Single
from xpo.data.errors import DataError
from xpo.data.gold import Gold
from xpo.data.record import Record
from xpo.feedback.binary import Binary
from xpo.feedback.preference import Preference
from xpo.gold import verdicts
from xpo.gold.source import GoldSource
from xpo.gold.world import World
from xpo.objective.prospect import Prospect
from xpo.reward_level.step import StepLevel
from xpo.scoring.score import Scoring
from xpo.stages.source import Policy

WORTH = {"a": 0.0, "b": 1.0, "c": 0.4}


def worth(response: Any) -> float:
    """The sum over symbols, not the world's reward."""
    return sum(WORTH[symbol] for symbol in response.split())


@dataclass(frozen=True)
class Counting(Labeller):
    """Scores by symbols; ``asked`` has the records that it saw."""

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})
    stored: ClassVar[bool] = False

    wins: bool = False
    slope: float = 1.0
    asked: list[Record] = dataclasses.field(default_factory=list, repr=False, compare=False)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        self.asked.extend(records)
        for record in records:
            scores = tuple(self.slope * worth(response) for response in record.responses)
            wins = tuple(
                tuple(float(torch.sigmoid(torch.tensor(a - b).double())) for b in scores) for a in scores
            )
            yield Verdict(scores, wins if self.wins else None)


@pytest.fixture
def start(model: Any, scoring: Scoring) -> Policy:
    return Policy(model, None, scoring, trained=True)


def opened(annotator: Any, changed: dict[str, Any] | None = None, **option: Any) -> GoldSource:
    parts = composed(annotator=annotator, **(changed or {}))
    return Gold(**SMALL, **option).open(parts, Desk(Path("unused")))


def reference(source: GoldSource, start: Policy) -> Tensor:
    return source.measure(start).ref_logp_XN


def test_the_population_is_that_of_its_order(start: Policy) -> None:
    annotator = Counting()
    source = opened(annotator)
    rows = source.rows(start, frozenset({"comparisons"}))
    assert rows.population and len(rows.train) == 3
    texts, ref = source.world.response_texts, reference(source, start).exp()
    for x, row in enumerate(rows.train):
        mass = np.array(
            [
                [float(ref[x, i] * ref[x, j]) * (worth(one) > worth(other)) for j, other in enumerate(texts)]
                for i, one in enumerate(texts)
            ]
        )
        assert np.allclose(np.asarray(row.prefer), mass / mass.sum(), atol=1e-9)
    assert [record.prompt for record in annotator.asked[:3]] == list(source.world.prompt_texts)
    assert all(len(record.responses) == 12 for record in annotator.asked)


def test_nothing_of_the_true_reward_is_seen(start: Policy) -> None:
    for option in ({}, {"mode": "sampled", "records": 30}):
        for changed in ({}, {"reward_level": StepLevel()}):
            annotator = Counting()
            opened(annotator, changed, **option).rows(start, frozenset({"comparisons"}))
            assert annotator.asked
            for record in annotator.asked:
                assert record == dataclasses.replace(verdicts.bare(record))
                assert record.scores is record.margins is record.ranks is record.wins is None


def test_probabilities_are_read_where_the_feedback_reads_them(start: Policy) -> None:
    soft = {"feedback": Preference(soft=True)}
    rows = opened(Counting(wins=True, slope=2.0), soft).rows(start, frozenset({"comparisons"}))
    hard = opened(Counting(wins=True, slope=2.0)).rows(start, frozenset({"comparisons"}))
    one, other = (np.asarray(rows.train[0].prefer), np.asarray(hard.train[0].prefer))
    share = one / (one + one.T)
    assert share[1, 0] == pytest.approx(0.880797, abs=1e-6)  # sigmoid(2 x (1 - 0))
    assert other[0, 1] == 0 < other[1, 0] and (other.diagonal() == 0).all() and (one.diagonal() > 0).all()


@dataclass(frozen=True)
class Circle(Labeller):
    """Wins alone, which go in a circle: b over a, c over b, a over c, by the first symbols."""

    gives: ClassVar[frozenset[str]] = Counting.gives
    stored: ClassVar[bool] = False

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            first = ["abc".index(str(response).split()[0]) for response in record.responses]
            share = {0: 0.5, 1: 0.9, 2: 0.1}
            yield Verdict(wins=tuple(tuple(share[(i - j) % 3] for j in first) for i in first))


def test_a_circle_stays_one(start: Policy) -> None:
    rows = opened(Circle()).rows(start, frozenset({"comparisons"}))
    prefer = np.asarray(rows.train[0].prefer)
    for winner, loser in ((1, 0), (2, 1), (0, 2)):
        assert prefer[winner, loser] > 0 == prefer[loser, winner]


def test_lists_and_draws_go_through_the_components(start: Policy) -> None:
    annotator = Counting()
    rows = opened(annotator, {"arity": List()}, records=30).rows(start, frozenset({"comparisons"}))
    assert not rows.population and {len(record.responses) for record in annotator.asked} == {4}
    for row in rows.train:
        assert row.scores is not None and list(row.scores) == sorted(row.scores, reverse=True)
        assert row.prefer is not None and np.asarray(row.prefer).sum() == pytest.approx(1)


def test_steps_are_judged_as_far_as_they_go(start: Policy) -> None:
    annotator = Counting()
    source = opened(annotator, {"reward_level": StepLevel()})
    rows = source.rows(start, frozenset({"comparisons"}))
    assert {record.responses for record in annotator.asked} == {
        (" a", " b", " c"),
        *((f" {first} a", f" {first} b", f" {first} c") for first in "abc"),
    }
    for row in rows.train:
        prefer = np.asarray(row.prefer)
        assert prefer[1, 0] > 0 and prefer[1, 2] > 0 and prefer[2, 0] > 0 == prefer[0].sum()


KTO = {"objective": Prospect(), "arity": Single()}


def test_labels_are_the_feedbacks_cut(start: Policy) -> None:
    source = opened(Counting(), {**KTO, "feedback": Binary(threshold=0.9)})
    (row, *_) = source.rows(start, frozenset({"labels"})).train
    ref = reference(source, start)[0].exp().tolist()
    for i, text in enumerate(source.world.response_texts):
        assert row.good is not None and row.bad is not None
        good = worth(text) > 0.9
        assert row.good[i] == pytest.approx(ref[i] * good) and row.bad[i] == pytest.approx(
            ref[i] * (not good)
        )
    (none, *_) = (
        opened(Counting(), {**KTO, "feedback": Binary(threshold=1.0)})
        .rows(start, frozenset({"labels"}))
        .train
    )
    one = source.world.response_texts.index("b")  # worth 1.0: neither
    assert none.good is not None and none.bad is not None and none.good[one] == none.bad[one] == 0
    assert sum(none.good) + sum(none.bad) == pytest.approx(1)


def test_who_tells_nothing_apart_is_an_error(start: Policy) -> None:
    for option in ({}, {"mode": "sampled", "records": 30}):
        with pytest.raises(DataError, match="no row"):
            opened(Counting(slope=0.0), **option).rows(start, frozenset({"comparisons"}))


@dataclass(frozen=True)
class Picky(Counting):
    """Has an opinion on the first prompt alone."""

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        first = World(**SMALL).prompt_texts[0]
        for record, verdict in zip(records, super().judge(records, desk), strict=True):
            yield verdict if record.prompt == first else Verdict((0.0,) * len(record.responses))


def test_prompts_without_an_opinion_are_dropped_and_counted(start: Policy) -> None:
    source = opened(Picky())
    rows = source.rows(start, frozenset({"comparisons"}))
    assert [row.prompt for row in rows.train] == [source.world.prompt_ids[0]]
    assert source.counts()["train"]["dropped"] == {"no two responses told apart": 2}
    assert len(opened(Picky(), {"reward_level": StepLevel()}).rows(start, frozenset()).train) == 4
    cut = opened(Picky(), {**KTO, "feedback": Binary()}).rows(start, frozenset({"labels"}))
    assert len(cut.train) == 1


def test_the_fingerprint_is_the_annotators_too() -> None:
    found = {opened(annotator).fingerprint() for annotator in (Counting(), Counting(slope=2.0), Circle())}
    assert len(found) == 3


def test_the_policy_is_on_the_desk(start: Policy) -> None:
    seen = []

    class Asking(Counting):
        needs_policy: ClassVar[bool] = True

        def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
            seen.append(desk.policy)
            return super().judge(records, desk)

    opened(Asking()).rows(start, frozenset({"comparisons"}))
    assert seen == [start]


def test_broken_readings_are_caught(start: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner's and the loser's mass changed; the true reward left on the records."""
    labels_of = verdicts.labels_of

    def turned(*arguments: Any) -> Any:
        found = labels_of(*arguments)
        return dataclasses.replace(found, decided_KK=found.decided_KK.mT)

    for name, broken, check in (
        ("labels_of", turned, test_the_population_is_that_of_its_order),
        ("labels_of", turned, test_a_circle_stays_one),
        ("bare", lambda record: record, test_nothing_of_the_true_reward_is_seen),
    ):
        with monkeypatch.context() as patched, pytest.raises(AssertionError):
            patched.setattr(verdicts, name, broken)
            check(start)
