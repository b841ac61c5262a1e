"""The keys that say who is asked: what is refused, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.judge.choice import Asking

HERE = {"url": "http://127.0.0.1:9/v1", "model": "m"}
PRICES = {"price_per_million_prompt_tokens": 1.0, "price_per_million_completion_tokens": 2.0}


@dataclass(frozen=True)
class Ask(Asking, Labeller):
    warm: bool = False

    def judge(self, records: Any, desk: Desk) -> Iterator[Verdict]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "got neither"),
        ({"path": "x", **HERE}, "got both"),
        ({"path": "x", "retries": 3}, "retries is read with url alone, and path is given"),
        ({"path": "x", "model": "m"}, "model is read with url alone"),
        ({"path": "x", "top_logprobs": 0}, "top_logprobs is read with url alone"),
        ({**HERE, "dtype": "bfloat16"}, "dtype is read with path alone, and url is given"),
        ({**HERE, "revision": "main"}, "revision is read with path alone"),
        ({"url": "http://h/v1"}, "model is not set"),
        ({**HERE, "timeout": 0.0}, "timeout must be above 0 and finite, got 0.0"),
        ({**HERE, "timeout": float("inf")}, "timeout must be"),
        ({**HERE, "retries": -1}, "retries must be 0 or more, got -1"),
        ({**HERE, "concurrency": 0}, "concurrency must be 1 or more, got 0"),
        ({**HERE, "requests_per_minute": 0.0}, "requests_per_minute must be above 0"),
        ({**HERE, "top_logprobs": 1}, "top_logprobs must be 0, or 2 or more, got 1"),
        ({**HERE, "max_cost": 1.0}, "max_cost needs both prices"),
        ({**HERE, "price_per_million_prompt_tokens": 1.0}, "give both price"),
        ({**HERE, **PRICES, "price_per_million_prompt_tokens": -1.0}, "prompt_tokens must be 0 or more"),
        ({**HERE, **PRICES, "max_cost": float("nan")}, "max_cost must be above 0"),
        ({**HERE, "url": "127.0.0.1:8000/v1"}, "url must be like http"),
        ({**HERE, "url": "ftp://h/v1"}, "url must be like http"),
        ({**HERE, "url": "http://h:port/v1"}, "url is no address"),
        ({**HERE, "url": "http://h/v1/chat/completions"}, "url is what stands before /chat/completions"),
        ({**HERE, "key_variable": "NOT_THERE_AT_ALL"}, "no such environment variable is set; export"),
    ],
)
def test_what_cannot_be_asked_or_is_not_read_is_refused(given: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        Ask(**given)


@pytest.mark.parametrize("url", ["http://me:hunter2@h/v1", "http://h/v1?key=hunter2", "http://h/v1#hunter2"])
def test_a_secret_in_an_address_is_refused_and_not_shown(url: str):
    with pytest.raises(ValueError, match="must have no user, password, query") as caught:
        Ask(**{**HERE, "url": url})
    assert "hunter2" not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="name of an environment variable") as caught:
        Ask(**HERE, key_variable="sk-hunter2")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("SOME_KEY", "hunter2\n")
    with pytest.raises(ValueError, match="characters that no API key has") as caught:
        Ask(**HERE, key_variable="SOME_KEY")
    assert "hunter2" not in str(caught.value)


def test_a_fingerprint_is_of_who_is_asked_and_of_own_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SOME_KEY", "hunter2")
    desk = Desk(tmp_path)
    plain = Ask(**HERE).fingerprint(desk)
    same = [
        {"retries": 9},
        {"concurrency": 1},
        {"timeout": 1.0},
        {"key_variable": "SOME_KEY"},
        {"top_logprobs": 20},
    ]
    for change in [*same, PRICES]:
        assert Ask(**HERE, **change).fingerprint(desk) == plain
    other = [{"model": "n"}, {"url": "http://127.0.0.1:8/v1"}, {"warm": True}, {"top_logprobs": 0}]
    for change in other:
        assert Ask(**{**HERE, **change}).fingerprint(desk) != plain
    assert "hunter2" not in plain + repr(Ask(**HERE, key_variable="SOME_KEY"))
    assert Ask(**{**HERE, "url": f"{HERE['url']}/"}).fingerprint(desk) == plain
