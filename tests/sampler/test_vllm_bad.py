"""Servers that are slow, broken, absent, or serve something else."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.judge.asking import Waits
from tests.sampler.small import PROMPTS, generator, policy_of
from tests.sampler.stand_in import answer, engine, standing_in, status
from xpo.errors import UserError
from xpo.sampler.base import Draw
from xpo.sampler.policy import Policy

DRAW = Draw(3, max_new_tokens=6)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policy_of()


def test_a_slow_and_a_broken_server_are_asked_again(policy: Policy):
    waits, bad = Waits(), iter([hang_up, cut, status(500), status(503), garbage, fewer])

    def act(handler: Any, body: dict[str, Any], number: int) -> bool:
        """The probe is answered; then every other answer is bad."""
        if number % 2 == 0:
            return False
        return next(bad, lambda *_: False)(handler, body)

    with standing_in(policy) as expected:
        good = engine(expected)(policy, PROMPTS * 2, DRAW, generator())
    with standing_in(policy, act=act) as server:
        found = engine(server, waits=waits, concurrency=1)(policy, PROMPTS * 2, DRAW, generator())
    assert found == good and len(waits.each) == 6


def hang_up(handler: Any, body: dict[str, Any]) -> bool:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def cut(handler: Any, body: dict[str, Any]) -> bool:
    """Fewer bytes than announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True
    return True


def garbage(handler: Any, body: dict[str, Any]) -> bool:
    answer(handler, b"<html>")
    return True


def fewer(handler: Any, body: dict[str, Any]) -> bool:
    whole = handler.state.complete(body)
    answer(handler, {**whole, "choices": whole["choices"][1:]})
    return True


def hang(handler: Any, body: dict[str, Any]) -> bool:
    handler.state.ending.wait(10)
    return True


LASTING: dict[str, tuple[Callable[..., bool], str]] = {
    "slow": (hang, "3 attempts.*no answer within timeout=0.3"),
    "500": (status(500), "3 attempts.*status 500: engine is busy"),
    "hangs up": (hang_up, "3 attempts.*the connection failed"),
    "garbage": (garbage, "3 attempts.*no JSON"),
    "refuses": (status(400), "refuses the request with status 400: engine is busy"),
    "key": (status(401), "refuses the request with status 401"),
}


@pytest.mark.parametrize("case", LASTING)
def test_servers_that_stay_bad(case: str, policy: Policy):
    act, message = LASTING[case]
    with standing_in(policy, act=lambda handler, body, number: act(handler, body)) as server:
        with pytest.raises(UserError, match=message):
            engine(server, timeout=0.3)(policy, PROMPTS, DRAW, generator())


def test_nobody_there(policy: Policy):
    with standing_in(policy) as server:
        pass
    with pytest.raises(
        UserError, match="/health gave no usable answer .* no connection.*vLLM server running"
    ):
        engine(server)(policy, PROMPTS, DRAW, generator())


def test_another_model(policy: Policy):
    with standing_in(policy, name="base") as server:
        with pytest.raises(UserError, match="serves base, not policy"):
            engine(server)(policy, PROMPTS, DRAW, generator())


def changed(**fields: Any) -> Callable[..., bool]:
    """An answer whose first choice has other fields."""

    def act(handler: Any, body: dict[str, Any], number: int) -> bool:
        whole = handler.state.complete(body)
        whole["choices"][0] |= {
            key: value(whole["choices"][0]) if callable(value) else value for key, value in fields.items()
        }
        answer(handler, whole)
        return True

    return act


def lone(token: int, **more: Any) -> dict[str, Any]:
    return {"token_ids": [token], "logprobs": {"token_logprobs": [-0.1]}, "stop_reason": None, **more}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no ids": ({"token_ids": None}, "gives no token ids"),
    "an older server": ({"prompt_token_ids": None}, "gives no token ids"),
    "ids that the policy lacks": (lone(999, finish_reason="length"), "token ids that are not 0 to 21"),
    "ids that are none": (lone(True, finish_reason="length"), "token ids that are not 0 to 21"),
    "another end": (lone(9, finish_reason="stop"), "ended a response at token 9, .* none .* ends \\[2\\]"),
    "a prompt of its own": ({"prompt_token_ids": [1]}, "answered to another prompt"),
    "too long": ({"token_ids": [5] * 9, "finish_reason": "length"}, "a response has 9 tokens, 1 to 1"),
    "empty": ({"token_ids": []}, "a response has 0 tokens"),
    "aborted": ({"finish_reason": "abort"}, "finish_reason='abort'"),
    "no log-probabilities": ({"logprobs": None}, "no log-probability for each token"),
    "too few": ({"logprobs": {"token_logprobs": []}}, "no log-probability for each token"),
    "probabilities": ({"logprobs": {"token_logprobs": [0.7]}}, "0.7 is no log-probability"),
    "not a number": ({"logprobs": {"token_logprobs": [float("nan")]}}, "nan is no log-probability"),
}


@pytest.mark.parametrize("case", WRONG)
def test_answers_that_would_be_other_responses(case: str, policy: Policy):
    fields, message = WRONG[case]
    with standing_in(policy, act=changed(**fields)) as server:
        with pytest.raises(UserError, match=message):
            engine(server)(policy, PROMPTS, DRAW, generator())
