"""Comparisons whose responses have labels of their own: PKU's columns, chosen and rejected, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xpo.arity.pair import Pair
from xpo.compose import Refused, build, compose_config
from xpo.data.counts import Counts
from xpo.data.errors import BadRow, DataError
from xpo.data.jsonl import Jsonl
from xpo.data.record import Record
from xpo.feedback.preference import Preference

PKU = {
    "prompt": "How do I pick a lock?",
    "response_0": " Like this.",
    "response_1": " Please don't.",
    "is_response_0_safe": False,
    "is_response_1_safe": True,
    "better_response_id": 0,
    "safer_response_id": 1,
}
PAIR = {"prompt": "p", "chosen": " a", "rejected": " b"}
LIST = {"prompt": "p", "completions": [" a", " b", " c"], "scores": [1, 3, 2], "labels": [True, False, 1]}


def read(write: Callable[..., str], *rows: dict[str, Any], **options: Any) -> tuple[list[Record], Counts]:
    found = Jsonl(path=write(list(rows)), test_fraction=0.0, **options).read()
    return found.train, found.counts["train"]


def test_pku_rows_say_which_is_safer_and_which_are_safe(write: Callable[..., str]) -> None:
    (record,), counts = read(write, PKU)
    assert record.responses == (" Like this.", " Please don't.")
    assert record.ranks == (1, 0) and record.labels == (False, True)
    assert counts.unread == ("better_response_id",)
    assert "column 'safer_response_id' read as 'preferred_id'" in counts.noted


def test_the_more_helpful_one_is_read_by_name(write: Callable[..., str]) -> None:
    (record,), _ = read(write, PKU, columns={"preferred_id": "better_response_id"})
    assert record.ranks == (0, 1) and record.labels == (False, True)


def test_chosen_and_rejected_have_labels_too(write: Callable[..., str]) -> None:
    (record,), _ = read(write, {**PAIR, "safe_chosen": True, "safe_rejected": False})
    assert record.ranks == (0, 1) and record.labels == (True, False)
    (record,), _ = read(write, {**PAIR, "label_chosen": 0, "label_rejected": 0})
    assert record.labels == (False, False)
    assert read(write, PAIR)[0][0].labels is None


def test_so_have_lists(write: Callable[..., str]) -> None:
    (record,), _ = read(write, LIST)
    assert record.scores == (1, 3, 2) and record.labels == (True, False, True)


def test_a_pair_that_nobody_compared_is_for_an_annotator(write: Callable[..., str]) -> None:
    (record,), _ = read(write, {"prompt": "p", "response_0": " a", "response_1": " b"})
    assert not record.labelled


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**PKU, "safer_response_id": 2}, "'preferred_id' must be 0 or 1, got 2"),
        ({**PKU, "safer_response_id": True}, "'preferred_id' must be 0 or 1, got True"),
        ({**PKU, "is_response_1_safe": None}, "'label_1' is null or missing, and the other's is not"),
        ({**PKU, "is_response_0_safe": "no"}, "'label_0' must be true or false"),
        ({**PKU, "response_0": ""}, "'response_0' is an empty response"),
        ({**PAIR, "safe_chosen": 0.5, "safe_rejected": 0}, "'label_chosen' must be true or false"),
        ({**LIST, "labels": [True, False]}, "has 2 entries and 'completions' has 3"),
        ({**LIST, "labels": [True, False, "x"]}, r"'labels\[2\]' must be true or false"),
    ],
)
def test_a_malformed_row_says_what_is_wrong(write: Callable[..., str], row: Any, said: str) -> None:
    with pytest.raises(BadRow, match=said):
        read(write, row)


def test_labels_are_those_of_the_data_or_the_two_sides(write: Callable[..., str]) -> None:
    (record,), _ = read(write, PKU)
    (own,) = Preference(labels="data")([record], Counts())
    assert own.responses == (" Please don't.", " Like this.")
    assert own.prefer == ((0, 1), (0, 0)) and own.good == (0.5, 0) and own.bad == (0, 0.5)
    both, _ = read(write, {**PKU, "is_response_0_safe": True})
    (own,) = Preference(labels="data")(both, Counts())
    (sides,) = Preference()(both, Counts())
    assert own.good == (0.5, 0.5) and own.bad == (0, 0)
    assert sides.good == (0.5, 0) and sides.bad == (0, 0.5)


def test_pairs_cut_from_a_list_keep_their_own_labels(write: Callable[..., str]) -> None:
    (record,), _ = read(write, LIST)
    pairs = Pair()(Preference(labels="data")([record], Counts()), Counts())
    said = {pair.responses: (pair.good, pair.bad) for pair in pairs}
    assert said[" b", " a"] == ((0, 0.5), (0.5, 0))
    assert said[" c", " a"] == ((0.5, 0.5), (0, 0))


def test_labels_that_are_not_there_are_asked_for(write: Callable[..., str]) -> None:
    (record,), _ = read(write, PAIR)
    with pytest.raises(DataError, match="rows.jsonl:1: feedback.labels=data .*safe_chosen"):
        Preference(labels="data")([record], Counts())


@pytest.mark.parametrize(
    ("overrides", "said", "fix"),
    [
        (
            "algo=dpo feedback.labels=data",
            "would change nothing: objective=logistic reads comparisons",
            "sides",
        ),
        ("algo=reward_cost arity=list", "two sides of comparisons as labels", "data.mode=sampled"),
        ("algo=reward_pm reward.sign=-1", "gives no score of one", "reward.sign=1"),
    ],
)
def test_what_nobody_reads_is_refused(overrides: str, said: str, fix: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(overrides.split()))
    assert fix in " ".join(caught.value.nearest)
    changed = {item.split("=")[0] for item in caught.value.nearest}
    kept = [item for item in overrides.split() if item.split("=")[0] not in changed]
    build(compose_config([*kept, *caught.value.nearest]))
