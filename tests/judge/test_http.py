"""The HTTP backend against real servers: what it sends, and what it makes of good and of bad answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judge.asking import OPTIONS, Waits, asked_all, backend, questions, text_of
from tests.judge.server import Action, answer, serving, status
from xpo.data.record import Message
from xpo.judge.backend import Draw
from xpo.judge.errors import JudgeError

SOFT = answer("A", {"A": 0.6, "B": 0.2, "C": 0.2})


def account(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "judge.json").read_text())


def test_log_probabilities_of_the_options_are_normalised(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with serving(lambda body, n: SOFT) as server:
        assert asked_all(server, tmp_path, ["which?"]) == [pytest.approx((0.75, 0.25))]
    assert server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "which?"}],
            "temperature": 0,
            "max_tokens": 16,
            "logprobs": True,
            "top_logprobs": 20,
        }
    ]
    assert "requests 1 (0 of them again), answers from the cache 0, tokens 100 + 1" in capsys.readouterr().out


def test_a_server_without_log_probabilities_is_read_by_its_text_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with serving(lambda body, n: answer("Answer: B")) as server:
        assert asked_all(server, tmp_path, ["which?"], top_logprobs=0) == [(0.0, 1.0)]
    assert "logprobs" not in server.bodies[0]
    assert account(tmp_path)["without_logprobs"] == 1
    assert "without log-probabilities" in capsys.readouterr().out


def test_answers_come_in_order_whoever_is_first(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        number = int(text_of(body))

        def act(handler: Any) -> None:
            handler.ending.wait(0.1 if number % 5 == 0 else 0)
            answer("A", {"A": (number + 1) / 32, "B": 1 - (number + 1) / 32})(handler)

        return act

    with serving(script) as server:
        found = asked_all(server, tmp_path, [str(n) for n in range(20)], concurrency=4)
    assert [share for share, _ in found] == pytest.approx([(n + 1) / 32 for n in range(20)])
    assert 1 < server.peak <= 4 and server.calls == 20


def test_what_came_before_a_failure_is_handed_out_and_nothing_after_it_is_asked(tmp_path: Path):
    def script(body: dict[str, Any], number: int) -> Action:
        return status(400, "no") if text_of(body) == "3" else SOFT

    with serving(script) as server, backend(server, tmp_path, concurrency=1) as made:
        found = made.options(questions(*map(str, range(100))), OPTIONS)
        assert [next(found) for _ in range(3)] == [pytest.approx((0.75, 0.25))] * 3
        with pytest.raises(JudgeError, match="status 400"):
            next(found)
    assert server.calls == 4


def test_the_rate_is_kept(tmp_path: Path):
    waits = Waits()
    with serving(lambda body, n: SOFT) as server:
        asked_all(server, tmp_path, list("abcde"), concurrency=1, requests_per_minute=30, waits=waits)
    assert waits.each == pytest.approx([2.0] * 4)  # the first goes at once


def test_what_was_bought_is_not_asked_again(tmp_path: Path):
    with serving(lambda body, n: SOFT) as server:
        first = asked_all(server, tmp_path, ["one", "two", "one"])
        assert server.calls == 2  # the same question once
        assert asked_all(server, tmp_path, ["two", "one"]) == first[:2]
    assert server.calls == 2
    assert account(tmp_path) | {"cost": 0} == {
        "requests": 2,
        "retries": 0,
        "cached": 2,
        "without_logprobs": 0,
        "prompt_tokens": 200,
        "completion_tokens": 2,
        "uncounted": 0,
        "cost": 0,
    }


def test_another_model_or_address_is_another_judge(tmp_path: Path):
    with serving(lambda body, n: SOFT) as server:
        asked_all(server, tmp_path, ["one"])
        asked_all(server, tmp_path, ["one"], model="other")
        assert server.calls == 2
        with serving(lambda body, n: answer("B")) as elsewhere:
            assert asked_all(elsewhere, tmp_path, ["one"]) == [(0.0, 1.0)]


def test_a_cache_that_was_cut_or_is_of_something_else_is_bought_anew(tmp_path: Path):
    with serving(lambda body, n: SOFT) as server:
        asked_all(server, tmp_path, ["one", "two"])
        (path,) = (tmp_path / "cache" / "judge").glob("*.jsonl")
        lines = path.read_text().splitlines()
        odd = json.dumps({"key": json.loads(lines[0])["key"], "value": {"text": "neither", "tokens": None}})
        path.write_text(f"{odd}\n{lines[1][:40]}")
        asked_all(server, tmp_path, ["one", "two"])
        assert server.calls == 4
        asked_all(server, tmp_path, ["one", "two"])
    assert server.calls == 4


def test_several_answers_are_several_requests_with_seeds(tmp_path: Path):
    with (
        serving(lambda body, n: answer(f"seed {body.get('seed')}")) as server,
        backend(server, tmp_path) as made,
    ):
        draw = Draw(max_new_tokens=30, temperature=0.7, n=3, seed=5)
        assert list(made.answers(questions("x", "y"), draw)) == [("seed 5", "seed 6", "seed 7")] * 2
        assert list(made.answers(questions("x"), Draw(n=2))) == [("seed None", "seed None")]
    assert server.calls == 7
    sent = next(body for body in server.bodies if body.get("seed") == 6 and text_of(body) == "x")
    assert (sent["temperature"], sent["max_tokens"]) == (0.7, 30) and "logprobs" not in sent


def test_a_turn_of_the_assistant_at_the_end_is_gone_on_with(tmp_path: Path):
    begun = [(Message("user", "which?"), Message("assistant", "I say "))]
    with (
        serving(lambda body, n: answer("hm" if n == 0 else "A")) as server,
        backend(server, tmp_path) as made,
    ):
        assert list(made.options(begun, OPTIONS)) == [(1.0, 0.0)]
    assert server.bodies[0]["continue_final_message"] is True
    assert server.bodies[0]["add_generation_prompt"] is False
    assert [turn["content"] for turn in server.bodies[1]["messages"][:2]] == ["which?", "I say hm"]
    assert "continue_final_message" not in server.bodies[1]


def test_the_key_is_sent_and_stands_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    key = "sk-very-secret-123"
    replies = [answer(f"A {key}"), answer("A"), status(401, f"wrong key {key}")]
    with serving(lambda body, n: replies[n]) as server:
        with backend(server, tmp_path, key=key, concurrency=1) as made:
            assert next(made.options(questions("one"), OPTIONS)) == (1.0, 0.0)
            with pytest.raises(JudgeError) as caught:
                list(made.options(questions("two"), OPTIONS))
            assert key not in repr(made._endpoint) + made.fingerprint
    assert "wrong key [key]" in str(caught.value)
    assert server.headers[0]["Authorization"] == f"Bearer {key}"
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert written and key not in written + "".join(capsys.readouterr())


def test_without_a_key_nothing_authorises(tmp_path: Path):
    with serving(lambda body, n: SOFT) as server:
        asked_all(server, tmp_path, ["one"])
    assert "Authorization" not in server.headers[0]
