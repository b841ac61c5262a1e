"""A society whose members say what is written down: who is asked what, what is rated and remembered."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.judge.scripted import nothing
from tests.on_policy.hand import mutated
from tests.society.hand import Hand, answered, member
from xpo.annotator.base import LabelError
from xpo.data.spoken import ids_said
from xpo.judge.errors import TooLong
from xpo.society import outcome, rating

QUESTIONS = ("cats 1", "dogs 1", "cats 2", "cats 3", "dogs 3", "dogs 2")
"""Three agents answer the first three, and then the others: each time agents 1, 2 and 3 in this order."""


def opinions(words: str) -> str:
    """The second one gives no number, and the others two more for what is better than a draft."""
    more = 2 * ("better" in answered(words))
    said = {
        1: f"Rating: {5 + more} ### Reason: one",
        2: "it has no number",
        3: f"Rating: {2 + more} ### Reason: three",
    }
    return said[member(words)]


def drafts(shown: str) -> str:
    """A draft is worth 1; a better answer 3, but about dogs 0."""
    if "[" not in shown or shown.startswith(("[you", "[they")):
        return " draft 1"
    return " better 0" if "dogs" in shown else " better 3"


def hand(folder: Path, patch: pytest.MonkeyPatch, *options: str, **changes: Any) -> Hand:
    given = {"questions": QUESTIONS, "draft": drafts, "opinion": opinions}
    return Hand(folder, patch, **(given | changes), options=options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "society.jsonl").read_text().splitlines()]


def rows_are_right(society: Hand) -> None:
    """Drafts of agent 1 are rated by 2 (no number) and 3 (2), of 2 by 1 and 3, of 3 by 1 and 2."""
    found = society.round()
    assert [one.record.where for one in found] == [f"rows.jsonl:{n}" for n in range(1, 7)]
    assert [one.record.scores for one in found] == [(2.0, 4.0), (3.5, 5.5), (5.0, 7.0)] * 2
    texts = [tuple(map(str, one.record.responses)) for one in found]
    cats, dogs = (" draft 1", " better 3"), (" draft 1", " better 0")
    assert texts == [cats, dogs, cats, cats, dogs, dogs]
    for one in found:
        assert [list(ids_said(text) or ()) for text in one.record.responses] == one.responses
        assert one.finished == [True, True] and one.record.wins is None


def test_answers_stand_in_rows_with_the_mean_of_the_ratings(tmp_path: Path, monkeypatch: Any) -> None:
    rows_are_right(hand(tmp_path, monkeypatch))


def test_another_mean_or_order_is_noticed(tmp_path: Path, monkeypatch: Any) -> None:
    sums = lambda said: float(sum(one.rating or 0 for one in said))  # noqa: E731
    with mutated(outcome, "mean", sums), pytest.raises(AssertionError):
        rows_are_right(hand(tmp_path, monkeypatch))
    rated = outcome._rated

    def backwards(record: Any, own: Any) -> Any:
        return rated(record, [dataclasses.replace(one, answers=one.answers[::-1]) for one in own])

    with mutated(outcome, "_rated", backwards), pytest.raises(AssertionError):
        rows_are_right(hand(tmp_path, monkeypatch))


def test_who_is_asked_what(tmp_path: Path, monkeypatch: Any) -> None:
    """Each answer is put to the two others, draft and revision; the sternest reason comes last."""
    society = hand(tmp_path, monkeypatch, questions=QUESTIONS[:3])
    society.round()
    asked = [turns[0].content for turns in society.voice.asked]
    assert [sorted(asked[start : start + 2]) for start in range(0, 12, 2)] == [
        [f"I am {peer}. {center} said to {question} this: {answer}" for peer in peers]
        for answers in (("draft 1",) * 3, ("better 3", "better 0", "better 3"))
        for center, peers, question, answer in zip(
            (1, 2, 3), ((2, 3), (1, 3), (1, 2)), QUESTIONS, answers, strict=False
        )
    ]
    assert society.engine.shown == [
        "cats 1",
        "dogs 1",
        "cats 2",
        "[cats 1 > draft 1, 2, <it has no number><three>]cats 1",
        "[dogs 1 > draft 1, 3.5, <one><three>]dogs 1",
        "[cats 2 > draft 1, 5, <it has no number><one>]cats 2",
    ]


def recalls(society: Hand) -> None:
    """Agents 1 and 3 learnt something of cats in the first turn; agent 2's better answer was worse."""
    society.round()
    assert society.engine.shown[6:9] == [
        "[you: cats 1 > better 3][they: 2: <it has no number><three>]cats 3",
        "dogs 3",
        "dogs 2",  # agent 3 knows cats alone
    ]
    peers = {member(words[0].content): words[0].content for words in society.voice.asked[12:14]}
    assert peers[2].startswith("I am 2. 1 said to cats 3")
    assert peers[3].startswith("I am 3. [you: cats 2 > better 3][they: 5: <")


def test_what_was_found_better_is_recalled_where_the_question_is_like_it(
    tmp_path: Path, monkeypatch: Any
) -> None:
    recalls(hand(tmp_path, monkeypatch))
    learnt = [line["learnt"] for line in lines(tmp_path)[1:]]
    assert [one and (one["question"], one["answer"], one["rating"]) for one in learnt] == [
        *(("cats 1", "better 3", 2.0), None, ("cats 2", "better 3", 5.0)),
        *(("cats 3", "better 3", 2.0), None, None),
    ]


def test_a_memory_of_everything_is_noticed(tmp_path: Path, monkeypatch: Any) -> None:
    def all_of_it(one: Any, observed: Any) -> Any:
        return outcome.Recollection(one.question, one.answers[-1].text, None, ())

    with mutated(outcome, "_learnt", all_of_it), pytest.raises(AssertionError):
        recalls(hand(tmp_path, monkeypatch))


def test_memories_go_on_in_the_next_round_and_in_another_process(tmp_path: Path, monkeypatch: Any) -> None:
    society = hand(tmp_path, monkeypatch)
    society.round()
    society.round(2)
    whole, journal = society.engine.shown[12:], lines(tmp_path)
    assert whole[0].startswith("[you: cats 3 > better 3]") and whole[1] == "dogs 1"  # the newest
    society.collector = society.fresh()
    society.engine.shown.clear()
    society.round(2)  # killed in it, or before its samples were saved
    assert society.engine.shown == whole and lines(tmp_path) == journal


def test_held_out_questions_are_answered_and_not_remembered(tmp_path: Path, monkeypatch: Any) -> None:
    society = hand(tmp_path, monkeypatch, held_out=("cats 9",), questions=QUESTIONS[:3])
    society.round()
    before = lines(tmp_path)
    prompts = society.collector.prompts.test
    for _ in range(2):
        (one,) = society.collector.answers(prompts, "held out in round 1", 0)
        assert society.engine.shown[-2].startswith("[you: cats 1 > better 3]") and one.record.scores == (
            2.0,
            4.0,
        )
    assert lines(tmp_path) == before


def test_the_observer_may_rate(tmp_path: Path, monkeypatch: Any) -> None:
    """Then last answers are put to nobody."""
    society = hand(tmp_path, monkeypatch, "sampling.scores=observer", questions=QUESTIONS[:3])
    assert [one.record.scores for one in society.round()] == [(1.0, 3.0), (1.0, 0.0), (1.0, 3.0)]
    assert len(society.voice.asked) == 6
    told = society.collector.told
    assert told["society/observed_draft"] == 1 and told["society/observed_last"] == 2
    assert told["society/improved"] == pytest.approx(2 / 3) and told["society/rating_draft"] == pytest.approx(
        3.5
    )
    assert society.collector.counts == {"opinions of peers": 6, "opinions without a rating": 2} | {
        name: 0 for name in society.collector.counts if "room" in name
    }


def test_ratings_that_nobody_gives_are_an_error_with_the_row(tmp_path: Path, monkeypatch: Any) -> None:
    def some(words: str) -> str:
        silent = "dogs" in words and "better" in answered(words)
        return "I like it" if silent else "Rating: 3"

    with pytest.raises(LabelError, match=r"rows.jsonl:2: none of the 2 peers rates response 1 .*'I like it'"):
        hand(tmp_path, monkeypatch, opinion=some).round()


def test_several_agents_and_revisions_of_one_question(tmp_path: Path, monkeypatch: Any) -> None:
    """The best of an agent's answers is remembered, with what was said of the one before it."""
    better = iter((" better 2", " better 1", " better 4", " better 3"))  # of both agents side by side

    def answers(shown: str) -> str:
        return next(better) if "[" in shown else " draft 1"

    options = ("sampling.responses=6", "sampling.revisions=2")
    society = hand(tmp_path, monkeypatch, *options, questions=QUESTIONS[:1], draft=answers)
    (one,) = society.round()
    texts = [str(text).split()[-1] for text in one.record.responses]
    assert texts == ["1", "2", "4", "1", "1", "3"] and one.record.scores == (2.0, 4.0, 4.0) + (3.5, 5.5, 5.5)
    assert [line["learnt"]["answer"] for line in lines(tmp_path)[1:]] == ["better 4", "better 3"]


def test_without_peers_agents_answer_again_by_themselves(tmp_path: Path, monkeypatch: Any) -> None:
    options = ("sampling.peers=0", "sampling.scores=observer")
    society = hand(tmp_path, monkeypatch, *options, questions=QUESTIONS[:1])
    society.voice.say = nothing
    (one,) = society.round()
    assert society.engine.shown == ["cats 1", "[cats 1 > draft 1]cats 1"] and one.record.scores == (1.0, 3.0)


def test_what_has_no_room_is_left_out_kindest_first_and_counted(tmp_path: Path, monkeypatch: Any) -> None:
    long = "word " * 20
    kind = {
        1: f"Rating: 7 ### Reason: kind {long}",
        2: "Rating: 1 ### Reason: stern",
        3: f"Rating: 6 ### Reason: {long}",
    }
    society = hand(
        tmp_path,
        monkeypatch,
        opinion=lambda words: kind[member(words)],
        questions=("dogs 1", "cats 1", "cats 2"),
    )
    society.round()
    revised = society.engine.shown[3:6]
    assert [("stern" in one, "kind" in one) for one in revised] == [
        (True, False),
        (False, False),
        (True, False),
    ]
    assert society.collector.counts["critiques without room"] > 0
    with pytest.raises(
        TooLong, match="rows.jsonl:1: what the agent is shown of its answer has .* room for 88"
    ):
        hand(tmp_path, monkeypatch, questions=("cats " * 30,)).round()


def test_ties_are_no_improvement(tmp_path: Path, monkeypatch: Any) -> None:
    society = hand(tmp_path, monkeypatch, draft=lambda shown: " draft 1", questions=QUESTIONS[:3])
    society.round()
    assert [line["learnt"] for line in lines(tmp_path)[1:]] == [None] * 3
    assert rating.mean([]) is None
