"""What the option's keys do to the records: columns, hold-out, limits, order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xpo.data.counts import table
from xpo.data.errors import DataError
from xpo.data.jsonl import Jsonl

PAIRS = [{"prompt": f"p{i // 2}", "chosen": f" yes {i}", "rejected": " no"} for i in range(40)]


def test_unread_columns_are_told_once(write: Callable[..., str]) -> None:
    rows = [{**row, "source": "x", "turn": 1} for row in PAIRS]
    splits = Jsonl(path=write(rows), test_fraction=0.0).read()
    assert splits.counts["train"].unread == ("source", "turn")
    assert table(splits.counts).count("columns not read: source, turn") == 1


def test_aliases_and_mapping(write: Callable[..., str]) -> None:
    rows = [{"question": "q", "winner": " a", "rejected_response": " b"}]
    path = write(rows)
    splits = Jsonl(path=path, columns={"chosen": "winner"}).read()
    assert splits.train[0].prompt == "q"
    assert splits.train[0].responses == (" a", " b")
    assert "column 'question' read as 'prompt'" in splits.counts["train"].noted
    with pytest.raises(DataError, match=r"data.columns.chosen=winer: .* has no column 'winer'.*'winner'"):
        Jsonl(path=path, columns={"chosen": "winer"}).read()
    with pytest.raises(DataError, match=r"data.columns.chosn: no such column.*Did you mean 'chosen'"):
        Jsonl(path=path, columns={"chosn": "winner"}).read()


def test_undetectable_columns_show_every_format(write: Callable[..., str]) -> None:
    with pytest.raises(DataError) as caught:
        Jsonl(path=write([{"prompt": "a", "chosen": " b", "regected": " c"}])).read()
    message = str(caught.value)
    assert "As rows of 'preference' they lack rejected. Did you mean 'rejected'?" in message
    assert '"scores": [1.0, 0.2, 0.0]' in message and '"label": true' in message


def test_format_overrides_detection(write: Callable[..., str]) -> None:
    rows = [{"prompt": "a", "completion": " b", "label": True, "chosen": " c", "rejected": " d"}]
    path = write(rows)
    assert Jsonl(path=path).read().train[0].ranks == (0, 1)
    assert Jsonl(path=path, format="unpaired").read().train[0].labels == (True,)
    assert Jsonl(path=path, format="demonstration").read().train[0].labels is None
    with pytest.raises(DataError, match=r"rows.jsonl:1: column 'completions' is missing.*'completion'"):
        Jsonl(path=path, format="list").read()


def test_hold_out_is_by_prompt(write: Callable[..., str]) -> None:
    path = write(PAIRS)
    splits = Jsonl(path=path).read()
    tested = {record.prompt for record in splits.test}
    assert len(tested) == 2 and len(splits.test) == 4 and len(splits.train) == 36
    assert tested.isdisjoint(record.prompt for record in splits.train)
    assert splits.counts["train"].read == 36 and splits.counts["test"].read == 4
    again = Jsonl(path=path).read()
    assert [r.where for r in again.test] == [r.where for r in splits.test]
    other = Jsonl(path=path, split_seed=1).read()
    assert {record.prompt for record in other.test} != tested
    assert Jsonl(path=path, test_fraction=0.0).read().test == []
    assert len(Jsonl(path=path, test_fraction=0.99).read().train) == 2


def test_test_path_tells_shared_prompts(write: Callable[..., str]) -> None:
    splits = Jsonl(
        path=write(PAIRS), test_path=write(PAIRS[:3] + [{**PAIRS[0], "prompt": "new"}], "t.jsonl")
    ).read()
    assert len(splits.train) == 40 and len(splits.test) == 4
    assert splits.counts["test"].noted["prompt also in train"] == 3


def test_limit_and_order(write: Callable[..., str]) -> None:
    path = write(PAIRS)
    first = Jsonl(path=path, limit=3, test_fraction=0.0).read()
    assert [record.responses[0] for record in first.train] == [" yes 0", " yes 1", " yes 2"]
    assert first.counts["train"].dropped["beyond data.limit"] == 37
    drawn = Jsonl(path=path, limit=3, shuffle_seed=1, test_fraction=0.0).read()
    assert [r.where for r in drawn.train] != [r.where for r in first.train]


def test_demonstrations_have_their_own_file(write: Callable[..., str]) -> None:
    demos = write(
        [{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}], "d.jsonl"
    )
    splits = Jsonl(path=write(PAIRS), demonstrations=demos).read()
    assert splits.given and len(splits.demonstrations) == 1
    assert splits.demonstrations[0].prompt[0].content == "u"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_path": "a.jsonl", "test_fraction": 0.1}, "test_path and test_fraction all say"),
        ({"test_fraction": 1.0}, "test_fraction must be at least 0 and below 1, got 1.0"),
        ({"limit": 0}, "limit must be at least 1 row, got 0"),
        ({"max_length": 20}, "max_length 20 has no room for min_prompt 16"),
        ({"max_length": 0}, "max_length must be at least 1 token, got 0"),
        ({"max_response_length": 8}, "max_response_length 8 is below min_response 16"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Jsonl(**{"path": "a.jsonl", **options})


def test_window() -> None:
    assert Jsonl(path="a.jsonl").limits(100).max_length == 100
    assert Jsonl(path="a.jsonl", max_length=50).limits(100).max_length == 50
    with pytest.raises(
        DataError, match="data.max_length=200 is more than the model's window of 100 positions"
    ):
        Jsonl(path="a.jsonl", max_length=200).limits(100)


def test_no_path() -> None:
    with pytest.raises(DataError, match="data.path is not set: name a file"):
        Jsonl().read()
