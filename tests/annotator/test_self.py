"""Scores that the policy gives itself: what counts as one, and their mean."""

from __future__ import annotations

import pytest

from tests.judge.local_models import policy, templated
from tests.judge.scripted import Scripted, refuses, text
from xpo.annotator import self as module
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.self import SelfRewarding, points
from xpo.data.record import Record

ROWS = [Record("say {prompt}", ("good", "bad"), scores=(0.0, 1.0), where="f:1")]
GOOD = ("It helps.\nScore: 5", "Score: 4", "3 points. Score: 3.")
BAD = ("Score: 1", "I rate it 4 of 5", "Score: 0\nScore: 0")


def answers(conversation, number):
    return (GOOD if "good" in text(conversation) else BAD)[number]


def asked(monkeypatch, say):
    backend = Scripted(say=say)
    monkeypatch.setattr(module, "LocalBackend", lambda policy: backend)
    return backend


def test_the_mean_of_what_can_be_read(monkeypatch, tmp_path, capsys):
    backend = asked(monkeypatch, answers)
    (record,) = SelfRewarding()(ROWS, Desk(tmp_path, policy="the policy"))
    assert record.scores == pytest.approx((4.0, 0.5)) and record.ranks is None
    assert len(backend.asked) == 2 and "say {prompt}" in text(backend.asked[0])
    assert "1 of 6 answers end in no score and were left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Score: 3", 3),
        ("Well.\nScore: 0.", 0),
        ("**Score: 5**", 5),
        ("Score: 2\nso, Score: 2", 2),
        ("Score:4", 4),
        ("Score: 6", None),
        ("Score: -1", None),
        ("Score: 4.5", None),
        ("Score: 4/5", None),
        ("Score: 12", None),
        ("Score: 3\nScore: 4", None),
        ("Score: four", None),
        ("Score: <total points>", None),
        ("score 3", None),
        ("Scores: 3", None),
        ("Score:", None),
        ("Score: ٣", None),  # a digit, but not one of ours
        ("3", None),
        ("", None),
    ],
)
def test_what_counts_as_a_score(answer, score):
    assert points(answer) == score


def test_where_nothing_can_be_read_the_row_is_named(monkeypatch, tmp_path):
    asked(monkeypatch, lambda c, n: "hm" if "bad" in text(c) else "Score: 3")
    with pytest.raises(LabelError, match=r"^f:1: none of the policy's 3 answers about response 1 .*is 'hm'"):
        SelfRewarding()(ROWS, Desk(tmp_path, policy="p"))
    asked(monkeypatch, refuses)
    with pytest.raises(LabelError, match="^f:1: no$"):
        SelfRewarding()(ROWS, Desk(tmp_path, policy="p"))


def test_what_nobody_can_read_earns_no_point_where_that_is_said(monkeypatch, tmp_path, capsys):
    asked(monkeypatch, lambda c, n: "hm" if "bad" in text(c) else ("Score: 2", "hm", "Score: 3")[n])
    (record,) = SelfRewarding(unread="zero")(ROWS, Desk(tmp_path, policy="p"))
    assert record.scores == (2.5, 0.0)
    assert "4 of 6 answers end in no score" in capsys.readouterr().out


def test_a_policy_that_has_changed_is_asked_anew(tmp_path):
    tokenizer = templated()
    marks = [
        SelfRewarding().fingerprint(Desk(tmp_path, policy=policy(tokenizer, seed))) for seed in (1, 1, 2)
    ]
    assert marks[0] == marks[1] != marks[2]
    others = [
        SelfRewarding(n=2),
        SelfRewarding(seed=1),
        SelfRewarding(temperature=0.5),
        SelfRewarding(max_new_tokens=9),
        SelfRewarding(unread="zero"),
    ]
    same = Desk(tmp_path, policy=policy(tokenizer, 1))
    assert len({marks[0], *(other.fingerprint(same) for other in others)}) == 6
    assert SelfRewarding.needs_policy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 0}, "n must be at least 1 answer, got 0"),
        ({"temperature": -1.0}, "temperature must be 0 or more and finite, got -1"),
        ({"temperature": 0.0}, "n must be 1 at temperature 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"template": "nope"}, "xpo brings: five_points"),
    ],
)
def test_fields_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        SelfRewarding(**fields)


def zero_for_unread(answer):
    return points(answer) or 0


def first_score(answer):
    found = module._SCORE.findall(answer)
    return int(found[0].rstrip(".")) if found else None


def test_broken_variants_are_caught(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "points", zero_for_unread)  # counted as 0: (1 + 0 + 0) / 3
    with pytest.raises(AssertionError):
        test_the_mean_of_what_can_be_read(monkeypatch, tmp_path, capsys)
    monkeypatch.setattr(f"{__name__}.points", first_score)
    with pytest.raises(AssertionError):
        test_what_counts_as_a_score("Score: 3\nScore: 4", None)
