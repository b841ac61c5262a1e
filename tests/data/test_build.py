"""The front door: from a file to rows, with everything that was lost told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xpo.annotator.human import Human
from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.data.build import Pipeline, Prepared, fingerprint, prepare, texts
from xpo.data.counts import table
from xpo.data.errors import DataError
from xpo.data.jsonl import Jsonl
from xpo.feedback.binary import Binary
from xpo.feedback.preference import Preference

PAIRS = [{"prompt": f"What is {i}?", "chosen": " It is four.", "rejected": f" {i}?"} for i in range(10)]
LISTS = [{"prompt": f"What is {i}?", "completions": [" a", " ", " b"], "scores": [1, 9, 2]} for i in range(3)]


def run(path: str, tokenizer: Any, feedback: Any = None, arity: Any = None, **options: Any) -> Prepared:
    known = {"needs", "window", "progress"}
    data = Jsonl(path=path, **{k: v for k, v in options.items() if k not in known})
    pipeline = Pipeline(data, Human(), feedback or Preference(), arity or Pair())
    return prepare(pipeline, tokenizer, **{k: v for k, v in options.items() if k in known})


def test_pairs(write: Callable[..., str], tokenizer: Any) -> None:
    heard: list[tuple[int, int]] = []
    result = run(write(PAIRS), tokenizer, progress=lambda done, total: heard.append((done, total)))
    assert (len(result.train), len(result.test), len(result.demonstrations)) == (9, 1, 9)
    assert not result.demonstrations_given
    assert heard == [(27, 27), (3, 3)]  # the demonstrations' texts are known by then
    assert result.counts["train"].kept == 9
    row = result.train[0]
    assert row.prefer == ((0.0, 1.0), (0.0, 0.0)) and row.source.endswith("rows.jsonl:1")
    demo = result.demonstrations[0]
    assert (demo.prompt, list(demo.responses), demo.demo) == (row.prompt, [row.responses[0]], (1.0,))


def test_blank_responses_go(write: Callable[..., str], tokenizer: Any) -> None:
    rows = [*PAIRS, {"prompt": "x", "chosen": " \n", "rejected": " a"}]
    result = run(write(rows), tokenizer, test_fraction=0.0)
    assert len(result.train) == 10 and result.counts["train"].dropped == {"empty response": 1}
    result = run(write(LISTS), tokenizer, arity=List(), test_fraction=0.0)
    assert [len(row.responses) for row in result.train] == [2, 2, 2]
    assert result.train[0].scores == (2.0, 1.0)
    assert result.counts["train"].noted == {"empty response left out of its list": 3}


def test_counts_are_shown_and_kept(write: Callable[..., str], tokenizer: Any) -> None:
    rows = [
        *PAIRS,
        {"prompt": "x", "chosen": " ", "rejected": " a"},
        {"prompt": "x", "chosen": " a", "rejected": " a"},
    ]
    result = run(write(rows), tokenizer, test_fraction=0.0)
    assert table(result.counts).splitlines()[:3] == [
        "train: 12 rows read, 10 rows made of them",
        "  dropped      1  empty response",
        "  dropped      1  identical responses",
    ]
    assert result.counts["train"].as_dict() == {
        "read": 12,
        "kept": 10,
        "dropped": {"empty response": 1, "identical responses": 1},
        "noted": {},
        "unread_columns": [],
    }


def test_nothing_left_says_why(write: Callable[..., str], tokenizer: Any) -> None:
    path = write(
        [{"prompt": "x", "chosen": " ", "rejected": " a"}, {"prompt": "x", "chosen": " a", "rejected": " a"}]
    )
    with pytest.raises(
        DataError, match="no row of train is left: 2 read, dropped 1 empty response, 1 identical responses"
    ):
        run(path, tokenizer, test_fraction=0.0)


def test_needs_are_checked_on_the_rows(write: Callable[..., str], tokenizer: Any) -> None:
    path = write(PAIRS)
    run(path, tokenizer, needs=frozenset({"comparisons", "labels", "demonstrations"}))
    with pytest.raises(
        DataError, match="rows.jsonl:1: this combination needs scores .*, and this row of train carries none"
    ):
        run(path, tokenizer, needs=frozenset({"scores"}))


def test_binary_singles(write: Callable[..., str], tokenizer: Any) -> None:
    result = run(write(PAIRS), tokenizer, Binary(), Single(), test_fraction=0.0)
    assert len(result.train) == 20 and len(result.demonstrations) == 10
    assert (
        sum(row.good == (1.0,) for row in result.train)
        == sum(row.bad == (1.0,) for row in result.train)
        == 10
    )


def test_given_demonstrations(write: Callable[..., str], tokenizer: Any) -> None:
    demos = write([{"prompt": "Q", "completion": " A"}], "demos.jsonl")
    result = run(write(PAIRS), tokenizer, demonstrations=demos)
    assert result.demonstrations_given and len(result.demonstrations) == 1
    assert result.counts["demonstrations"].kept == 1


def test_the_models_window(write: Callable[..., str], tokenizer: Any) -> None:
    rows = [{"prompt": "Q" * 50, "chosen": " A" * 40, "rejected": " B"}]
    result = run(write(rows), tokenizer, window=40, test_fraction=0.0)
    assert len(result.train[0].prompt) == 16 and len(result.train[0].responses[0]) == 24
    assert result.limits.max_length == 40
    with pytest.raises(DataError, match="data.max_length=64 is more than the model's window of 40"):
        run(write(rows), tokenizer, window=40, max_length=64)
    with pytest.raises(DataError, match="no room for min_prompt 16.*the model's window is 20"):
        run(write(rows), tokenizer, window=20)


def test_texts_hold_each_prompt_once(write: Callable[..., str]) -> None:
    rows = [
        {"prompt": "q", "chosen": " a", "rejected": " b"},
        {"prompt": "q", "chosen": " c", "rejected": " d"},
        {"prompt": [{"role": "user", "content": "u"}], "chosen": "e", "rejected": "f"},
    ]
    splits = Jsonl(path=write(rows), test_fraction=0.0).read()
    assert list(texts(splits)) == ["q", " a", " b", " c", " d", "u", "e", "f"]


def test_reading_once_serves_twice(write: Callable[..., str], tokenizer: Any) -> None:
    data = Jsonl(path=write(PAIRS))
    splits = data.read()
    pipeline = Pipeline(data, Human(), Preference(), Pair())
    first, second = (prepare(pipeline, tokenizer, splits=splits) for _ in range(2))
    assert first.counts == second.counts and first.fingerprint == second.fingerprint


def test_the_fingerprint_follows_tokens_masses_and_order(write: Callable[..., str], tokenizer: Any) -> None:
    rows = run(write(PAIRS), tokenizer, test_fraction=0.0).train
    same = run(write(PAIRS, "other.jsonl.gz"), tokenizer, test_fraction=0.0).train
    assert fingerprint(rows) == fingerprint(same)
    binary = run(write(PAIRS), tokenizer, Binary(), Pair(), test_fraction=0.0).train
    shorter = run(write(PAIRS), tokenizer, test_fraction=0.0, max_length=33).train
    found = {fingerprint(rows), fingerprint(rows[::-1]), fingerprint(rows[1:]), fingerprint(binary)}
    assert len(found) == 4 and fingerprint(shorter) == fingerprint(rows)  # nothing was longer
