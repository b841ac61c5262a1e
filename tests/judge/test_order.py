"""Several at a time, in order."""

from __future__ import annotations

import threading

import pytest

from xpo.judge.order import in_order


def test_items_of_one_key_are_worked_on_once_and_handed_out_in_order():
    seen: list[int] = []

    def work(item: int, stop: threading.Event) -> int:
        seen.append(item)
        return item * 10

    assert list(in_order([3, 1, 3, 2, 1], str, work, threads=2)) == [30, 10, 30, 20, 10]
    assert sorted(seen) == [1, 2, 3]


def test_it_does_not_run_far_ahead_of_who_takes_the_answers():
    seen: list[int] = []

    def work(item: int, stop: threading.Event) -> int:
        seen.append(item)
        return item

    found = in_order(range(1000), str, work, threads=2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert len(seen) <= 9


def test_who_stops_taking_ends_those_that_wait():
    begun, ended = threading.Event(), threading.Event()

    def work(item: int, stop: threading.Event) -> int:
        if item:
            begun.set()
            assert stop.wait(10)
            ended.set()
        else:
            begun.wait(10)
        return item

    found = in_order([0, 1], str, work, threads=2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert ended.is_set()


def test_the_first_error_in_order_is_the_one_that_is_raised():
    late = threading.Event()

    def work(item: int, stop: threading.Event) -> int:
        if item == 1:
            late.wait(10)
            raise ValueError("one")
        if item == 2:
            late.set()
            raise ValueError("two")
        return item

    found = in_order([0, 1, 2, 3], str, work, threads=4)
    assert next(found) == 0
    with pytest.raises(ValueError, match="one"):
        next(found)
