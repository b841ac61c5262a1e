"""What a society is made of, piece by piece: circles, ratings, memories, texts, who speaks, the journal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.judge.scripted import Scripted
from tests.on_policy.hand import mutated
from xpo.annotator.store import Store
from xpo.data.errors import DataError
from xpo.data.record import Message
from xpo.judge.backend import Draw
from xpo.judge.template_file import TemplateError
from xpo.society import circle, memory, rating, voices
from xpo.society.begin import first_memories
from xpo.society.journal import Journal, learnt
from xpo.society.memory import Memory, Recollection
from xpo.society.rating import Opinion, opinion
from xpo.society.texts import Texts, read_texts, told


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def nearest_are_found() -> None:
    """On a grid of 3 x 3, 4 in the middle: 1, 3, 5, 7 stand beside it; 8 beside 5 and 7."""
    drawn = [frozenset(circle.peers_of(4, 9, 4, True, seeded(n))) for n in range(8)]
    assert set(drawn) == {frozenset({1, 3, 5, 7})}
    assert set(circle.peers_of(8, 9, 3, True, seeded(0))) == {5, 7, 4}


def test_those_who_sit_nearest_are_asked() -> None:
    nearest_are_found()
    with (
        mutated(circle, "_squared", lambda one, other, width: -abs(one - other)),
        pytest.raises(AssertionError),
    ):
        nearest_are_found()
    # seven on 3 x 3: 6 sits alone in the last row, below 3
    assert circle.peers_of(6, 7, 1, True, seeded(1)) == [3]


def test_of_equally_near_ones_and_of_all_the_draw_decides() -> None:
    pairs = Counter(frozenset(circle.peers_of(4, 9, 2, True, seeded(n))) for n in range(200))
    assert len(pairs) == 6 and min(pairs.values()) > 15
    drawn = Counter(one for n in range(200) for one in circle.peers_of(0, 9, 2, False, seeded(n)))
    assert set(drawn) == set(range(1, 9)) and min(drawn.values()) > 25
    assert sorted(circle.seated(5, seeded(3))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("words", "number", "critique"),
    [
        ("Rating: 5\nReason: too short.", 5, "too short."),
        ("Rating:6 ### Reason: fine ", 6, "fine"),
        ("**Rating:** 7/7\n**Reason:** Rating: 2 would be harsh", 7, "Rating: 2 would be harsh"),
        ("Reason: kind\nRating: 3", 3, "kind\nRating: 3"),
        ("Rating: 8\nReason: x", None, "x"),
        ("Rating: 0\nReason: x", None, "x"),
        ("Rating: 5.5\nReason: x", None, "x"),
        ("Rating: high. It is fine", None, "high. It is fine"),
        ("Rating: 5\nRating: 6\nReason: x", None, "x"),
        ("I like it", None, "I like it"),
        ("", None, ""),
    ],
)
def test_words_to_a_rating_and_a_reason(words: str, number: int | None, critique: str) -> None:
    assert opinion(2, words) == Opinion(2, number, critique)


def means_leave_out() -> None:
    said = [Opinion(0, 7, "a"), Opinion(1, None, "b"), Opinion(2, 2, "c")]
    assert rating.mean(said) == 4.5 and rating.mean(said[1:2]) is None
    assert [one.critique for one in rating.worst_last(said)] == ["b", "a", "c"]


def test_ratings_that_cannot_be_read_are_left_out_and_the_sternest_comes_last() -> None:
    means_leave_out()
    zero = lambda said: sum(one.rating or 0 for one in said) / len(said)  # noqa: E731
    with mutated(rating, "mean", zero), pytest.raises(AssertionError):
        means_leave_out()
    kindest = lambda said: sorted(said, key=lambda one: one.rating or 8)  # noqa: E731
    with mutated(rating, "worst_last", kindest), pytest.raises(AssertionError):
        means_leave_out()


VECTORS: dict[Any, torch.Tensor] = {name: torch.tensor(vector) for name, vector in {
    "north": [0.0, 2.0], "north too": [0.0, 9.0], "east": [1.0, 0.0], "north-east": [1.0, 1.0],
    "south": [0.0, -1.0], "nowhere": [0.0, 0.0],
}.items()}  # fmt: skip


def remembering(*names: str, most: int = 9) -> Memory:
    found = Memory(most)
    for name in names:
        found.learn(Recollection(name, f"to {name}"))
    return found


def neighbours_are_found() -> None:
    known = remembering("south", "north", "east", "north too", "nowhere")
    recalled = known.recall("north-east", VECTORS, 0.7, 9)
    assert [one.question for one in recalled] == [
        "north too",
        "east",
        "north",
    ]  # all equally near: newest first
    assert [one.answer for one in known.recall("north", VECTORS, 0.0, 2)] == ["to north too", "to north"]
    assert [one.question for one in known.recall("south", VECTORS, 0.1, 9)] == ["south"]
    assert known.recall("nowhere", VECTORS, 0.1, 9) == []


def test_memory_gives_the_nearest_questions_back() -> None:
    neighbours_are_found()
    cosine = memory.cosine
    for broken in (lambda a, b: -cosine(a, b), lambda a, b: float(a @ b)):
        with mutated(memory, "cosine", broken), pytest.raises(AssertionError):
            neighbours_are_found()


def test_memory_is_bounded_and_the_last_answer_to_a_question_counts() -> None:
    known = remembering("north", "east", "south", most=2)
    assert list(known.known) == ["east", "south"]
    known.learn(Recollection("east", "anew"))
    known.learn(Recollection("north", "again"))
    assert {q: one.answer for q, one in known.known.items()} == {"east": "anew", "north": "again"}
    assert memory.questions([known, remembering("east", "south")]) == ["east", "north", "south"]


def test_texts_are_put_in_the_place_of_the_question() -> None:
    assert told("q {rating}\n", "{rating}! {prompt}", {"rating": "5 {prompt}"}) == "5 {prompt}! q {rating}\n"
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    begun = (*turns, Message("assistant", "So"))
    assert told(begun, "[{prompt}]", {}) == (*turns[:2], Message("user", "[three]"), begun[3])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draft": "{prompt}"}, r"draft has no place for \{memories\}"),
        (
            {"rate": "{agent} {prompt} {response} {rating}"},
            r"rate: nothing fills \['rating'\]; allowed: \{agent\}",
        ),
        ({"revise": 3}, "revise must be a text"),
        ({"other": "x"}, "must hold the keys memory, heard, draft"),
    ],
)
def test_texts_that_cannot_be_used(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    fine = vars(read_texts("back_scatter"))
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps(fine))
    assert read_texts(str(path)) == Texts(**fine)
    path.write_text(json.dumps(fine | change))
    with pytest.raises(TemplateError, match=said):
        read_texts(str(path))
    with pytest.raises(TemplateError, match="xpo brings: back_scatter"):
        read_texts("nowhere")


def test_a_model_here_is_asked_once_by_chunks_that_are_whole(tmp_path: Path) -> None:
    asked = [(Message("user", str(n)),) for n in range(voices.CHUNK + 3)]
    one = Scripted(say=lambda turns, _: f"to {turns[0].content}")
    path, draw = tmp_path / "said.jsonl", Draw(4, 1.0)
    found = [said for (said,) in voices.Kept(one, Store(path)).answers(asked, draw)]
    assert found == [f"to {n}" for n in range(len(asked))] and len(one.asked) == len(asked)
    again = Scripted()
    assert [said for (said,) in voices.Kept(again, Store(path)).answers(asked, draw)] == found
    rows = path.read_text().splitlines()
    path.write_text(f'{rows[0]}\n{{"key": {json.dumps(json.loads(rows[1])["key"])}, "value": ["cut"]}}\n')
    other = Scripted(say=lambda turns, _: "anew")
    assert [said for (said,) in voices.Kept(other, Store(path)).answers(asked, draw)][-4:] == [
        found[-4],
        *["anew"] * 3,
    ]
    assert len(other.asked) == 3
    assert [said for (said,) in voices.Kept(other, Store(path)).answers(asked[:1], Draw(5, 1.0))] == ["anew"]


def test_another_model_is_named_as_annotators_name_one() -> None:
    assert voices.model_of({"url": "http://127.0.0.1:1/v1", "model": "m"}).model == "m"
    for keys, said in (
        ({"url": "http://127.0.0.1:1/v1"}, "peer_model: model is not set"),
        ({"patth": "x"}, "peer_model has no key 'patth'; it has path"),
        ({"url": 3}, r"peer_model.url must be a text or null, got 3"),
        ({}, "peer_model: path .* got neither"),
    ):
        with pytest.raises(ValueError, match=said):
            voices.model_of(keys)


def entry(agent: int, question: Any, answer: str) -> dict[str, Any]:
    return {"agent": agent, "learnt": learnt(Recollection(question, answer, 4.5, ("short",)))}


def test_a_draw_that_comes_again_finds_what_was_said_before_it(tmp_path: Path) -> None:
    path, turns = tmp_path / "out" / "society.jsonl", (Message("user", "q"),)
    journal = Journal(path)
    journal.begin("round 1")
    journal.add([entry(1, turns, "first"), {"agent": 0, "learnt": None}])
    journal.begin("round 2")
    journal.add([entry(1, turns, "second"), entry(0, "other", "third")])
    with path.open("a") as file:
        file.write('{"agent": 0, "lear')  # killed
    for _ in range(2):  # once more
        again = Journal(path)
        again.begin("round 2")
        memories = again.memories(2, 5, [[], [Recollection("begin", "so")]])
        assert [list(one.known) for one in memories] == [[], ["begin", turns]]
        assert memories[1].known[turns] == Recollection(turns, "first", 4.5, ("short",))
    assert [json.loads(line).get("begins") for line in path.read_text().splitlines()] == [
        "round 1", None, None, "round 2",
    ]  # fmt: skip


def test_memories_to_begin_with_are_dealt_out(tmp_path: Path) -> None:
    path = tmp_path / "begin.jsonl"
    rows = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(3)]
    rows.append({"prompt": [{"role": "user", "content": "q3"}], "completion": "a3"})  # type: ignore[dict-item]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dealt = [[one.answer for one in own] for own in first_memories(str(path), 3)]
    assert dealt == [["a0", "a3"], ["a1"], ["a2"]]
    assert first_memories(str(path), 3)[0][1].question == (Message("user", "q3"),)
    for bad, said in (
        ({"prompt": "x"}, "begin.jsonl:1: a memory has a prompt"),
        ({"prompt": 3, "completion": "x"}, "begin.jsonl:1: a prompt is a text or a list of messages"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(DataError, match=said):
            first_memories(str(path), 2)
    with pytest.raises(DataError, match="there is no such file"):
        first_memories(str(tmp_path / "none"), 2)
