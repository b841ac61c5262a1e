"""Weighted sums of rules, functions of plugins, and every way in which one of them goes wrong."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stages.tiny import SIZES, run_here
from xpo import registry
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.rule import RuleAnnotator
from xpo.compose import build, compose_config
from xpo.compose.errors import ConfigError
from xpo.data.record import Message, Record
from xpo.registry import register

LENGTH = {"name": "length"}
RECORD = Record("What is 2 + 2?", (" It is 4.", " 5, sorry."), ranks=(1, 0), answer="4", where="f:3")


def labelled(record: Record, *rules: dict[str, Any], tmp: Path, threshold: float | None = None) -> Record:
    (found,) = RuleAnnotator(rules, threshold)([record], Desk(tmp))
    return found


def test_scores_are_the_weighted_sum(tmp_path: Path) -> None:
    right = {"name": "answer", "weight": 10}
    polite = {"name": "pattern", "pattern": "sorry", "score": "absence", "weight": 0.5}
    found = labelled(RECORD, LENGTH, right, polite, tmp=tmp_path)
    assert found.scores == (3 + 10 + 0.5, 2 + 0 + 0)
    assert found.ranks is None and found.labels is None  # the old labels are replaced
    assert found.merit == (13.5, 2)


def test_a_negative_weight_turns_the_order(tmp_path: Path) -> None:
    assert labelled(RECORD, {**LENGTH, "weight": -1}, tmp=tmp_path).scores == (-3, -2)


@pytest.mark.parametrize(
    ("threshold", "labels"), [(2.0, (True, False)), (1.9, (True, True)), (3.0, (False, False))]
)
def test_above_the_threshold_is_good(tmp_path: Path, threshold: float, labels: tuple[bool, ...]) -> None:
    assert labelled(RECORD, LENGTH, tmp=tmp_path, threshold=threshold).labels == labels


def test_messages_are_their_texts(tmp_path: Path) -> None:
    record = Record((Message("user", "a"),), ((Message("assistant", "b c"), Message("assistant", "d")),))
    assert labelled(record, LENGTH, tmp=tmp_path).scores == (3,)


def test_two_of_the_same_are_equal_and_pickle() -> None:
    one = RuleAnnotator((LENGTH,))
    copy = dataclasses.replace(one)
    assert one == copy and hash(one) == hash(copy) and pickle.loads(pickle.dumps(one)) == one


@pytest.fixture(autouse=True)
def mine() -> Iterator[None]:
    """Functions of a user, for the time of a test."""
    mine = {"vowels": Vowels, "odd": Odd}
    for name, kind in mine.items():
        register("rule", name)(kind)
    yield
    for name in mine:
        del registry._REGISTRY["rule", name]


@dataclass(frozen=True)
class Vowels:
    """How many of some letters there are."""

    letters: str = "aeiou"

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        return float(sum(map(response.count, self.letters)))


@dataclass(frozen=True)
class Odd:
    """Goes wrong in a way of one's choice."""

    gives: Any = None
    raises: bool = False

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        if self.raises:
            raise KeyError(response)
        return self.gives


def test_a_users_function_by_its_name(tmp_path: Path) -> None:
    assert labelled(RECORD, {"name": "vowels", "letters": "so"}, tmp=tmp_path).scores == (1, 2)
    with pytest.raises(
        ConfigError, match=r"rules\[0\].*nothing reads rule.leters.*Did you mean rule.letters"
    ):
        RuleAnnotator(({"name": "vowels", "leters": "so"},))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"raises": True}, "f:3: .* failed: KeyError: ' It is 4.'"),
        ({"gives": float("nan")}, "f:3: the rule 'odd' must give a finite number, got nan"),
        ({"gives": float("-inf")}, "f:3: the rule 'odd' must give a finite number, got -inf"),
        ({"gives": "4"}, "f:3: the rule 'odd' must give a number, got '4'"),
        ({"gives": True}, "f:3: the rule 'odd' must give a number, got True"),
        ({}, "f:3: the rule 'odd' must give a number, got None"),
        ({"gives": (1.0, 2.0)}, r"f:3: the rule 'odd' must give a number, got \(1.0, 2.0\)"),
    ],
    ids=str,
)
def test_what_a_function_may_not_do(tmp_path: Path, rule: dict[str, Any], said: str) -> None:
    with pytest.raises(LabelError, match=said):
        labelled(RECORD, LENGTH, {"name": "odd", **rule}, tmp=tmp_path)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("[]", "rules is empty"),
        ("[{pattern: x}]", r"rules\[0\] has no name; the rules are answer, format"),
        ("[{name: length}, {name: lenth}]", r"rules\[1\]: .*Did you mean 'length'"),
        ("[{name: length, mots: 2}]", r"rules\[0\]: nothing reads rule.mots.*Did you mean rule.most"),
        ("[{name: length, most: 2.5}]", "rule.most must be a whole number or null"),
        ("[{name: pattern, pattern: '(x'}]", "is no regular expression"),
        ("[{name: length, weight: 0}]", r"rules\[0\]: weight must be finite and not 0"),
        ("[{name: length, weight: much}]", r"rules\[0\]: weight must be a number"),
        ("length", "annotator.rules must be a list"),
    ],
)
def test_a_wrong_list_is_refused_before_anything_is_read(rules: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(
            compose_config(["data=jsonl", "data.path=missing", "annotator=rule", f"annotator.rules={rules}"])
        )


def rows(path: Path, count: int = 16) -> Path:
    lines = [
        {"prompt": f"Count to {i}:", "completions": [" one two", " one", " 1 2 3 4"]} for i in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_run_on_rows_without_labels(tmp_path: Path) -> None:
    data = rows(tmp_path / "rows.jsonl")
    found = run_here(
        tmp_path / "run", "algo=dpo", *SIZES, f"data.path={data}", "annotator=rule", "trainer.steps=2",
        "annotator.rules=[{name: length, weight: -1}]", "sft.steps=2", "sft.batch_size=8",
    )  # fmt: skip
    assert found
    said = (tmp_path / "run" / "samples.jsonl").read_text()
    assert " one" in said


def test_demonstrations_are_what_the_annotator_likes_best(tmp_path: Path) -> None:
    data = rows(tmp_path / "rows.jsonl")
    composition = build(
        compose_config(
            ["algo=dpo", *SIZES, f"data.path={data}", "annotator=rule", "annotator.rules=[{name: length}]"]
        )
    )
    source = composition.data.open(composition, Desk(tmp_path))
    loaded = composition.model.load(seed=0, texts=source.texts, tokenizer=None)
    source.tokenize(loaded.tokenizer, 64)
    shown = source.demonstrations().train[0]
    assert loaded.tokenizer.decode(shown.responses[0], skip_special_tokens=True) == " 1 2 3 4"
    assert {row.scores for row in source.rows(None, frozenset()).train} == {(4, 2), (4, 1), (2, 1)}


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), float("-inf")])
def test_a_threshold_is_finite(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be a finite number or null"):
        RuleAnnotator((LENGTH,), threshold)


def test_a_rule_that_leaves_ends_the_run_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: Any) -> float:
        raise SystemExit(0)

    def stop(*_: Any) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr("xpo.rule.length.Length.__call__", leave)
    with pytest.raises(LabelError, match=f"{RECORD.where}: RuleAnnotator failed: SystemExit"):
        labelled(RECORD, LENGTH, tmp=tmp_path)
    monkeypatch.setattr("xpo.rule.length.Length.__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        labelled(RECORD, LENGTH, tmp=tmp_path)
