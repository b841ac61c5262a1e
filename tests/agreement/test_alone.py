"""Single responses: scores against labels and against other scores, by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.reward_model.folders import RECORDS, leave, meaning, policy
from xpo.agreement.measures import accuracy, auc, calibration, kappa, rank_correlation
from xpo.agreement.pairs import Scored, Single, compare
from xpo.annotator.base import Desk
from xpo.annotator.reward_model import RewardModel
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.verbs import dispatch

SCORES = {"a": -1.0, "b": 0.5, "c": 0.5, "d": 2.0}


def by_letter(records: list[Record]) -> list[Record]:
    return [dataclasses.replace(r, scores=(SCORES[str(r.responses[0])],)) for r in records]


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


LABELLED = [Record(f"p{x}", (x,), labels=(x in "bd",), where=f"f:{x}") for x in SCORES]


def test_scores_without_a_zero_have_an_order_alone() -> None:
    """Good b, d against bad a, c: b > a, b ties with c, d > a, d > c."""
    found = compare(LABELLED, by_letter).singles
    assert found[0] == Single(0, 0, None, -1.0, None)
    assert auc(found).value == pytest.approx(3.5 / 4) and accuracy(found).value is None
    assert kappa(found).value is None and calibration(found) is None
    assert auc([dataclasses.replace(one, own=1.0) for one in found]).value is None
    turned = [dataclasses.replace(one, score=-(one.score or 0)) for one in found]
    assert auc(turned).value == pytest.approx(0.5 / 4)


def test_scores_that_are_log_odds_say_what_is_good() -> None:
    found = compare(LABELLED, by_letter, sigmoid).singles
    assert [one.found for one in found] == [0, 1, 1, 1]
    assert accuracy(found).value == 3 / 4 and kappa(found).value == pytest.approx(0.5)
    curve = calibration(found)
    assert curve is not None
    bins, error = curve
    assert [(one.pairs, one.observed) for one in bins] == [(1, 0), (2, 0.5), (1, 1)]
    by_hand = (sigmoid(-1) + 2 * (sigmoid(0.5) - 0.5) + 1 - sigmoid(2)) / 4
    assert error == pytest.approx(by_hand)


def test_scores_beside_scores_have_a_rank_correlation() -> None:
    rows = [
        Record(f"p{i}", (x,), scores=(own,)) for i, (x, own) in enumerate(zip("acd", (1, 9, 3), strict=True))
    ]
    found = compare(rows, by_letter)
    assert found.scored == (Scored(0, 1, -1.0), Scored(1, 9, 0.5), Scored(2, 3, 2.0)) and not found.singles
    assert rank_correlation(found.scored).value == pytest.approx(0.5)  # ranks 1 3 2 against 1 2 3
    flat = [dataclasses.replace(one, score=1.0) for one in found.scored]
    assert rank_correlation(flat).value is None


def test_an_annotator_without_a_word_about_one_response() -> None:
    with pytest.raises(DataError, match="f:a: the annotator says nothing about a single response"):
        compare(LABELLED, lambda records: records)
    with pytest.raises(DataError, match="x:1: the annotator gives no score"):
        compare(
            [Record("p", ("a",), scores=(1.0,), where="x:1")],
            lambda records: [dataclasses.replace(record, scores=None) for record in records],
        )


def test_what_a_reward_models_zero_is(tmp_path: Path) -> None:
    step: Any = {"reward_level": {"name": "step", "neutral": "good"}}
    plain = leave(tmp_path / "plain")
    odds = leave(tmp_path / "odds", told=meaning(offset=(0.0,), zero=True))
    steps = leave(tmp_path / "steps", policy(seed=1), meaning(offset=(0.0,), zero=True, **step))
    assert RewardModel(plain).chance() is None
    assert RewardModel((odds, plain)).chance() is None and RewardModel((odds, steps)).chance() is None
    good, right = RewardModel(odds).chance(), RewardModel(steps).chance()
    assert good is not None and good(0.0) == 0.5 and good(-1.5) == pytest.approx(sigmoid(-1.5))
    assert right is not None and right(math.log(0.25)) == pytest.approx(0.25)
    (said, *_) = RewardModel(steps)(RECORDS[2:], Desk(tmp_path / "cache"))
    assert said.scores is not None and 0 < right(said.scores[0]) < 1


@pytest.mark.parametrize("zero", [False, True])
def test_the_verb(tmp_path: Path, zero: bool, capsys: pytest.CaptureFixture[str]) -> None:
    path = leave(tmp_path / "model", told=meaning(offset=(0.0,), zero=zero))
    rows = [
        {"prompt": f"Say {i}:", "completion": " red" * (1 + i % 4), "label": i % 2 == 0} for i in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [
        "annotator=reward_model",
        f"annotator.path={path}",
        "data=jsonl",
        f"data.path={tmp_path}/rows.jsonl",
    ]
    out = tmp_path / "found"
    assert dispatch("agreement", [*given, "split=all", f"out={out}", f"cache={tmp_path}/cache"]) == 0
    printed = capsys.readouterr().out
    assert "AUC of scores" in printed and ("Cohen's kappa" in printed) == zero
    found = json.loads((out / "agreement.json").read_text())
    assert 0 <= found["auc"]["value"] <= 1 and ("accuracy" in found) == zero
    assert (found["calibration"] is not None) == zero and found["singles"] == 12
