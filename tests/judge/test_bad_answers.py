"""Slow, garbled, refused and missing answers: asked again, then an error that says what came."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.judge.asking import Waits, asked_all
from tests.judge.server import Action, answer, hang, hang_up, raw, serving, status
from xpo.judge.errors import JudgeError

SOFT = answer("A", {"A": 0.6, "B": 0.2, "C": 0.2})


def account(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "judge.json").read_text())


BAD: dict[str, tuple[Action, str]] = {
    "slow": (hang, "no answer within timeout=0.2"),
    "closed": (hang_up, "the connection failed"),
    "garbage": (raw(b"<html>busy</html>"), "no JSON: '<html>busy"),
    "no utf-8": (raw(b"\xff\xfe\x00"), "no JSON"),
    "deep": (raw(b"[" * 100_000), "no JSON"),
    "a list": (raw(b"[]"), "no choices"),
    "no choices": (raw(b'{"choices": []}'), "no choices"),
    "no message": (raw(b'{"choices": [{"text": "A"}]}'), "no choices"),
    "null": (
        raw(b'{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}'),
        "filter",
    ),
    "nan": (
        raw(
            b'{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", '
            b'"top_logprobs": [{"token": "A", "logprob": NaN}]}]}}]}'
        ),
        "nan is no log-probability",
    ),
    "500": (status(500, "out of memory"), "status 500: out of memory"),
    "503": (raw(b"", 503), "status 503: nothing was said"),
    "429": (status(429, "too many"), "status 429: too many"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_asked_for_again(kind: str, tmp_path: Path):
    bad, _ = BAD[kind]
    waits = Waits()
    with serving(lambda body, n: bad if n == 0 else SOFT) as server:
        found = asked_all(server, tmp_path, ["which?"], timeout=0.2, waits=waits)
    assert found == [pytest.approx((0.75, 0.25))]
    assert server.calls == 2 and account(tmp_path)["retries"] == 1
    assert len(waits.each) == 1 and 0.5 <= waits.each[0] <= 1


@pytest.mark.parametrize("kind", BAD)
def test_after_all_retries_comes_an_error_that_says_what_the_last_one_was(kind: str, tmp_path: Path):
    bad, said = BAD[kind]
    waits = Waits()
    with serving(lambda body, n: bad) as server, pytest.raises(JudgeError, match="in 3 attempts") as caught:
        asked_all(server, tmp_path, ["which?"], timeout=0.2, waits=waits)
    assert said in str(caught.value) and server.url in str(caught.value)
    assert server.calls == 3
    first, second = waits.each
    assert 0.5 <= first <= 1 and 1 <= second <= 2  # doubled


def test_nobody_listens(tmp_path: Path):
    with serving(lambda body, n: SOFT) as server:
        pass
    with pytest.raises(JudgeError, match="3 attempts.*no connection"):
        asked_all(server, tmp_path, ["which?"])


def test_an_answer_that_drips_does_not_hold_a_run(tmp_path: Path):
    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not handler.ending.wait(0.05):
            handler.wfile.write(b" ")

    begin = time.monotonic()
    with serving(lambda body, n: drip) as server, pytest.raises(JudgeError, match="no answer within"):
        asked_all(server, tmp_path, ["which?"], timeout=0.2, retries=0)
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 301])
def test_what_asking_again_cannot_mend_ends_at_once(code: int, tmp_path: Path):
    with serving(lambda body, n: status(code, "model m does not exist")) as server:
        with pytest.raises(JudgeError, match=f"status {code}: model m does not exist"):
            asked_all(server, tmp_path, ["which?"])
    assert server.calls == 1


@pytest.mark.parametrize("wait", ["7", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"])
def test_retry_after_is_kept(wait: str, tmp_path: Path):
    waits = Waits()
    with serving(lambda body, n: status(429, "slow down", Retry_After=wait) if n == 0 else SOFT) as server:
        if "2099" in wait:
            with pytest.raises(JudgeError, match="asks to come back in .* seconds"):
                asked_all(server, tmp_path, ["which?"], waits=waits)
            assert server.calls == 1
            return
        asked_all(server, tmp_path, ["which?"], waits=waits)
    assert server.calls == 2
    assert waits.each == [7.0] if wait == "7" else waits.each[0] <= 1


def test_an_answer_that_names_nothing_is_asked_for_again_with_a_reminder(tmp_path: Path):
    with serving(lambda body, n: answer("Both are fine." if n == 0 else "B")) as server:
        assert asked_all(server, tmp_path, ["which?"]) == [(0.0, 1.0)]
    assert [(turn["role"], turn["content"]) for turn in server.bodies[1]["messages"]] == [
        ("user", "which?"),
        ("assistant", "Both are fine."),
        ("user", "Answer with one of A, B and nothing else."),
    ]


def test_an_answer_that_never_names_anything_is_an_error_and_no_half(tmp_path: Path):
    """At temperature 0 it is asked once more, with the reminder: a third answer would be the second."""
    with serving(lambda body, n: answer("Both are fine.")) as server:
        with pytest.raises(JudgeError, match="2 attempts.*'Both are fine.' names none of A, B"):
            asked_all(server, tmp_path, ["which?"])
    assert server.calls == 2
