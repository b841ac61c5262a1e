"""When the next request may go: a rate, what a server asks to wait, and growing pauses between attempts."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_WAIT = 300.0
"""Seconds. A server that asks for more has nothing left for today: a run stops, and can go on later."""

_FIRST, _MOST = 1.0, 60.0  # seconds before the second attempt, and at most


@dataclass(frozen=True)
class Clock:
    """The time in seconds, and how it is waited for: until an event says to stop. Tests bring their own."""

    now: Callable[[], float]
    sleep: Callable[[float, threading.Event], object]


WATCH = Clock(time.monotonic, lambda seconds, stop: stop.wait(seconds))
"""The machine's own."""


class Pace:
    """Lets requests of all threads go at most every 60 / ``per_minute`` seconds (None: at once)."""

    def __init__(self, per_minute: float | None, clock: Clock) -> None:
        self._gap = 60.0 / per_minute if per_minute is not None else 0.0
        self._clock, self._lock, self._next = clock, threading.Lock(), float("-inf")

    def wait(self, stop: threading.Event) -> None:
        """Return when it is this request's turn."""
        with self._lock:
            now = self._clock.now()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._clock.sleep(turn - now, stop)

    def hold(self, seconds: float) -> None:
        """No request of any thread goes for so long: the server said so."""
        with self._lock:
            self._next = max(self._next, self._clock.now() + seconds)


def pause(attempt: int, chance: random.Random) -> float:
    """Seconds before another attempt (``attempt`` 0, 1, ...): doubled each time, between half and all of it.

    The draw keeps many clients of one server that failed together from coming back together.
    """
    return min(_MOST, _FIRST * 2**attempt) * chance.uniform(0.5, 1.0)


def retry_after(header: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (a number or a date); None if it says nothing."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
