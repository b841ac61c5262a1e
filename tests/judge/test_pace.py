"""When the next request may go, by hand."""

from __future__ import annotations

import email.utils
import random
import threading
import time

import pytest

from tests.judge.asking import Waits
from xpo.judge.pace import Pace, pause, retry_after


def test_pauses_double_up_to_a_minute_and_are_drawn_between_half_and_all():
    chance = random.Random(0)
    for attempt, most in enumerate([1, 2, 4, 8, 16, 32, 60, 60, 60]):
        drawn = [pause(attempt, chance) for _ in range(200)]
        assert most / 2 <= min(drawn) < 0.55 * most and 0.95 * most < max(drawn) <= most


def test_a_hold_is_for_all_and_the_rate_goes_on_after_it():
    waits, stop = Waits(), threading.Event()
    pace = Pace(60, waits.clock())
    pace.wait(stop)  # at 0
    pace.hold(10)
    pace.wait(stop)  # at 10
    pace.wait(stop)  # at 11
    assert waits.each == [10, 1] and waits.now == 11


def test_without_a_rate_nobody_waits():
    waits = Waits()
    pace = Pace(None, waits.clock())
    for _ in range(5):
        pace.wait(threading.Event())
    assert not waits.each


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3), ("0.5", 0.5), ("-1", 0), (None, None), ("x", None)]
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None):
    assert retry_after(header) == seconds


def test_retry_after_as_a_date():
    found = retry_after(email.utils.formatdate(time.time() + 30, usegmt=True))
    assert found is not None and 25 < found <= 30
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
