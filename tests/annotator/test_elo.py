"""Ratings as labels: of responses within a prompt, of systems over all rows."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.stages.tiny import SIZES, STAGE, run_here, write_lists
from xpo.annotator.base import LabelError
from xpo.annotator.elo import Elo
from xpo.compose import ConfigError, build, compose_config
from xpo.data.jsonl import Jsonl
from xpo.data.record import Record

FOUR = [Record("p", ("a", "b"), ranks=(0, 1), where=f"f:{i}") for i in range(3)]
FOUR.append(Record("p", ("b", "a"), ranks=(0, 1), where="f:3"))


def scores(records: list[Record], **options: Any) -> list[tuple[float, ...]]:
    return [record.scores or () for record in Elo(**options)(records)]


def test_all_rows_of_a_prompt_are_games_of_its_responses() -> None:
    found = Elo(ridge=1e-9, normalise=False)(FOUR)
    for record in found:
        assert record.scores is not None and record.wins is not None and record.ranks is None
        lead = dict(zip(record.responses, record.scores, strict=True))
        assert lead["a"] - lead["b"] == pytest.approx(190.85, abs=0.01)  # 3 wins in 4
        first = record.responses.index("a")
        assert record.wins[first][1 - first] == pytest.approx(0.75, abs=1e-6)
        assert record.wins[0][0] == 0.5
    assert [record.where for record in found] == ["f:0", "f:1", "f:2", "f:3"]


def test_prompts_have_nothing_to_do_with_each_other() -> None:
    other = Record("q", ("a", "b"), ranks=(1, 0))
    together = scores([*FOUR, other], normalise=False)
    assert together[0] == pytest.approx(scores(FOUR, normalise=False)[0])
    assert together[4][1] > together[4][0]


def test_scores_have_mean_0_and_variance_1() -> None:
    rows = scores([*FOUR, Record("q", ("a", "b", "c"), scores=(1.0, 5.0, 5.0))])
    values = [value for row in rows for value in row]
    assert math.fsum(values) == pytest.approx(0, abs=1e-9)
    assert math.fsum(value**2 for value in values) / len(values) == pytest.approx(1)
    assert rows[4][1] == pytest.approx(rows[4][2]) and rows[4][1] > rows[4][0]


def test_wins_are_shares_of_games() -> None:
    soft = Record("p", ("a", "b"), ranks=(1, 0), wins=((0.5, 0.75), (0.25, 0.5)))
    (found,) = scores([soft], ridge=1e-9, normalise=False)
    assert found[0] - found[1] == pytest.approx(190.85, abs=0.01)  # wins say more than ranks


def test_a_response_has_the_rating_of_its_system() -> None:
    rows = [
        Record(f"p{i}", (f"x{i}", f"y{i}"), ranks=(0, 1), models=("one", "two") if i else ("two", "one"))
        for i in range(4)
    ]
    rows.append(Record("new", ("z", "w"), models=("two", "one")))  # nobody labelled it
    found = scores(rows, over="models", ridge=1e-9, normalise=False)
    assert found[1][0] - found[1][1] == pytest.approx(190.85, abs=0.01)
    assert found[0] == pytest.approx(found[1][::-1]) and found[4] == pytest.approx(found[0])


def test_two_responses_of_one_system_are_no_game() -> None:
    rows = [Record("p", ("x", "y", "z"), ranks=(0, 1, 2), models=("one", "one", "two"))]
    found = scores(rows, over="models", normalise=False)
    assert found[0][0] == found[0][1] > found[0][2]


def test_sequential_depends_on_the_order_of_rows() -> None:
    one = scores(FOUR, method="sequential", k_factor=32.0, normalise=False)[0]
    other = scores(FOUR[::-1], method="sequential", normalise=False)[-1]
    assert one[0] > one[1] and one[0] != pytest.approx(other[0], abs=0.1)
    assert scores(FOUR)[0] == pytest.approx(scores(FOUR[::-1])[-1])


@pytest.mark.parametrize(
    ("options", "record", "said"),
    [
        ({}, Record("p", ("a",), labels=(True,), where="f:9"), "f:9: response 1 was never compared"),
        ({}, Record("p", ("a", "b"), where="f:9"), "f:9: response 1 was never compared"),
        (
            {},
            Record("p", ("a", "b"), ranks=(0, 0), where="f:9"),
            "every one of 2 responses has the same rating",
        ),
        ({"over": "models"}, FOUR[0], "f:0: annotator.over=models rates systems.*column 'models'"),
        (
            {"over": "models"},
            Record("p", ("a",), labels=(True,), models=("lone",), where="f:9"),
            "f:9: response 1 of 'lone' was never compared",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_rated(options: dict[str, Any], record: Record, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        Elo(**options)([record])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("ridge=0", "ridge must be above 0 and finite, got 0"),
        ("k_factor=16", "k_factor is not read with method=bradley_terry"),
        ("over=system", "must be one of prompt, models"),
    ],
)
def test_settings_that_are_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(compose_config(["data=jsonl", "data.path=x", "annotator=elo", f"annotator.{override}"]))
    with pytest.raises(ValueError, match="ridge is not read with method=sequential"):
        Elo(method="sequential", ridge=0.1)


def test_two_are_equal_by_their_fields() -> None:
    assert Elo() == dataclasses.replace(Elo()) and Elo()([]) == []


def test_a_run(tmp_path: Path) -> None:
    data = write_lists(tmp_path / "lists.jsonl")
    found = run_here(
        tmp_path / "run", "algo=dpo", *SIZES, *STAGE, f"data.path={data}", "annotator=elo", "trainer.steps=1",
        "feedback.soft=true", f"cache={tmp_path / 'cache'}",
    )  # fmt: skip
    assert found


@pytest.mark.skipif("XPO_TEST_DATA" not in os.environ, reason="XPO_TEST_DATA names no folder with real data")
def test_systems_of_real_data() -> None:
    path = Path(os.environ["XPO_TEST_DATA"]) / "alpaca_judged.train.jsonl.gz"
    records = Jsonl(path=str(path), limit=60, test_fraction=0.0).read().train
    found = Elo(over="models", normalise=False)(records)
    rating = {
        model: score
        for record in found
        for model, score in zip(record.models or (), record.scores or (), strict=True)
    }
    assert len(rating) > 4 and abs(sum(rating.values())) < 1e-6 * len(rating)
    assert max(map(abs, rating.values())) < 1000
