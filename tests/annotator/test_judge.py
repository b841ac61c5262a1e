"""annotator=judge against a real server: who wins by how much, and what the model is shown."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.annotator.judging import judge_of, label, record, wins
from tests.judge.server import Action, Server, answer, asked, prefers_long, serving, status
from xpo.annotator.base import LabelError
from xpo.annotator.judge import Judge
from xpo.data.record import Message, Record
from xpo.judge.comparing import shown


def always(first: float) -> Any:
    return lambda body, n: answer("A" if first >= 0.5 else "B", {"A": first, "B": 1 - first})


def test_all_pairs_in_both_orders_and_scores_are_mean_win_rates(tmp_path: Path):
    with serving(prefers_long) as server:
        (found,) = label(judge_of(server), [record("long one", "short", "tiny.")], tmp_path)
    assert server.calls == 6 and server.most_often == 1
    assert found.wins == (
        (0.5, pytest.approx(0.8), pytest.approx(0.8)),
        (pytest.approx(0.2), 0.5, 0.5),
        (pytest.approx(0.2), 0.5, 0.5),
    )
    assert found.scores == pytest.approx((0.8, 0.35, 0.35))  # a tie is half a win
    assert found.ranks is None and found.labels is None and found.margins is None


def test_the_two_orders_are_averaged_by_hand(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        share = 0.9 if asked(body) == ("yes", "no") else 0.3
        return answer("A" if share > 0.5 else "B", {"A": share, "B": 1 - share})

    with serving(script) as server:
        found = wins(judge_of(server), record("yes", "no"), tmp_path)
    # (yes, no): yes wins 0.9; (no, yes): no wins 0.3, so yes 0.7
    assert found == ((0.5, pytest.approx(0.8)), (pytest.approx(0.2), 0.5))


@pytest.mark.parametrize("first", [0.99, 0.9, 0.7, 1 / 3, 0.1, 0.007])
def test_a_liking_for_a_place_cancels_exactly(first: float, tmp_path: Path):
    with serving(always(first)) as server:
        check_no_place_is_favoured(judge_of(server), tmp_path)


def check_no_place_is_favoured(judge: Judge, folder: Path) -> None:
    (found,) = label(judge, [record("one", "two", "three")], folder)
    assert found.wins == ((0.5,) * 3,) * 3 and found.scores == (0.5,) * 3


class SameOrderTwice(Judge):
    """Broken: the second question is the first one again."""

    def case(self, record: Record, first: int, second: int) -> dict[str, str]:
        same = shown(record, min(first, second), max(first, second))
        return {**super().case(record, first, second), **same}


class OneOrder(Judge):
    """Broken: one of the two answers is forgotten."""

    def orders(self, record: Record) -> list[tuple[int, int]]:
        return super().orders(record)[::2]


def test_that_check_finds_out_wins_of_one_order(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        return answer("A") if "long" in asked(body)[0] else answer("B")

    with serving(always(0.9)) as server, pytest.raises(AssertionError):
        check_no_place_is_favoured(OneOrder(url=server.url, model="m"), tmp_path / "one")
    with serving(script) as server:  # a judge that prefers the long one, wherever it stands
        good, bad = judge_of(server), SameOrderTwice(url=server.url, model="m")
        assert wins(good, record("long", "no"), tmp_path / "good") == ((0.5, 1.0), (0.0, 0.5))
        assert wins(bad, record("long", "no"), tmp_path / "bad") != ((0.5, 1.0), (0.0, 0.5))


def test_in_one_order_the_liking_stays_but_follows_no_order_of_the_file(tmp_path: Path):
    rows = [record(f"chosen {n}", f"rejected {n}", line=n) for n in range(60)]
    with serving(lambda body, n: answer("A")) as server:
        found = label(judge_of(server, both_orders=False), rows, tmp_path)
    assert server.calls == 60
    shares = [row.wins[0][1] for row in found if row.wins is not None]
    assert set(shares) == {0.0, 1.0}
    assert all(row.wins is not None and row.wins[0][1] + row.wins[1][0] == 1 for row in found)
    assert 15 < sum(shares) < 45  # three standard deviations of fair coins are 11.6


def test_a_rationale_comes_first_and_stands_in_the_question(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        if "logprobs" in body:
            return prefers_long(body, number)
        return answer(f"Thought about {asked(body)[0]}.")

    with serving(script) as server:
        judge = judge_of(server, rationale_tokens=40, clamp=(0.4, 0.6), concurrency=1)
        found = wins(judge, record("longer", "no"), tmp_path)
    assert found == ((0.5, pytest.approx(0.6)), (pytest.approx(0.4), 0.5))  # 0.8 is clamped
    first, _, second, _ = server.bodies
    assert first["max_tokens"] == 40 and first["temperature"] == 0
    roles = [(turn["role"], turn["content"]) for turn in second["messages"][1:]]
    assert roles == [
        ("assistant", "Thought about longer."),
        ("user", "Which response is better? Answer with the letter A or B alone."),
    ]


def test_each_order_is_clamped_before_the_mean(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        share = 0.9 if asked(body) == ("yes", "no") else 0.5
        return answer("A", {"A": share, "B": 1 - share})

    with serving(script) as server:
        found = wins(judge_of(server, clamp=(0.4, 0.6)), record("yes", "no"), tmp_path)
    assert found[0][1] == pytest.approx(0.55)  # (0.6 + 0.5) / 2; clamping the mean of 0.7 would give 0.6


def test_texts_cannot_break_the_question(tmp_path: Path):
    odd = "{second} {prompt} {0} {{x}} %s \\1 $first {instructions}"
    with serving(lambda body, n: answer("A")) as server:
        judge = judge_of(server, instructions="Prefer {first}.", concurrency=1)
        label(judge, [record(odd, "plain", prompt="{first} {unknown}")], tmp_path)
    assert asked(server.bodies[0]) == (odd, "plain") and asked(server.bodies[1]) == ("plain", odd)
    told = server.bodies[0]["messages"][0]["content"]
    assert "=== Prompt ===\n{first} {unknown}\n" in told and "Prefer {first}." in told


def test_messages_are_shown_as_a_transcript(tmp_path: Path):
    prompt = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye"))
    row = Record(prompt, ((Message("assistant", "Go"),), "Stay"), where="rows.jsonl:1")
    with serving(lambda body, n: answer("A")) as server:
        label(judge_of(server, concurrency=1), [row], tmp_path)
    assert asked(server.bodies[0]) == ("Go", "Stay")
    assert "Human: Hi\n\nAssistant: Hello\n\nHuman: Bye\n" in server.bodies[0]["messages"][0]["content"]


@pytest.mark.parametrize("rationale", [0, 20])
def test_an_error_names_its_row_and_what_came_before_is_kept(rationale: int, tmp_path: Path):
    ill = True

    def script(body: dict[str, Any], number: int) -> Action:
        if ill and "third" in asked(body)[0]:
            return status(400, "too long for this model")
        return prefers_long(body, number) if "logprobs" in body else answer("Hm.")

    rows = [
        record(f"{word} one", "other", line=n)
        for n, word in enumerate(("first", "second", "third", "fourth"), 1)
    ]
    with serving(script) as server:
        judge = judge_of(server, rationale_tokens=rationale)
        with pytest.raises(LabelError, match="rows.jsonl:3: .*status 400: too long for this model"):
            label(judge, rows, tmp_path)
        ill = False
        assert len(label(judge, rows, tmp_path)) == 4
    answered = [body for body in server.bodies if "third" not in str(body)]
    assert len(answered) == len({str(body) for body in answered}) == 6 * (2 if rationale else 1)


@pytest.mark.parametrize("before", [0, 1, 7, 11])
def test_after_a_server_has_died_no_pair_is_asked_again(before: int, tmp_path: Path):
    dead = True
    served = []

    def script(body: dict[str, Any], number: int) -> Action:
        if dead and number >= before:
            return status(503, "dead")
        served.append(str(body))
        return prefers_long(body, number)

    rows = [record(f"one {n}", f"another {n}", line=n) for n in range(6)]
    with serving(script) as server:
        judge = judge_of(server, concurrency=1)
        with pytest.raises(LabelError, match="503"):
            label(judge, rows, tmp_path)
        dead = False
        found = label(judge, rows, tmp_path)
        again = label(judge, rows, tmp_path)
    assert found == again and [row.scores for row in found] == [pytest.approx((0.2, 0.8))] * 6
    assert len(served) == len(set(served)) == 12


def test_the_store_says_what_was_answered_and_in_which_order(tmp_path: Path):
    with serving(always(0.75)) as server:
        label(judge_of(server), [record("x", "y")], tmp_path)
    (path,) = (tmp_path / "cache" / "labels").glob("judge-*.jsonl")
    why = json.loads(path.read_text())["value"]["why"]
    assert [(one["first"], one["second"], one["shares"]) for one in why] == [
        (0, 1, [0.75, 0.25]),
        (1, 0, [0.75, 0.25]),
    ]


def test_the_mean_of_both_orders_is_a_probability_for_any_answers(tmp_path: Path):
    shares = itertools.cycle([0.31, 0.77, 0.05, 0.99, 0.5, 0.123])
    with serving(lambda body, n: always(next(shares))(body, n)) as server:
        (found,) = label(judge_of(server), [record("one", "two", "three")], tmp_path)
    assert found.wins is not None
    for i, j in itertools.combinations(range(3), 2):
        assert found.wins[i][j] + found.wins[j][i] == pytest.approx(1, abs=1e-12)


def test_a_judge_on_another_server_is_another_judge(tmp_path: Path):
    def of(server: Server) -> float:
        return wins(judge_of(server), record("longer", "no"), tmp_path)[0][1]

    with serving(prefers_long) as one, serving(always(0.9)) as other:
        assert of(one) == pytest.approx(0.8) and of(other) == 0.5
