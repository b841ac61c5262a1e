"""Several pieces of work at a time, handed out in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AHEAD = 4  # pieces per thread that may be done before it is their turn

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_order(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    work: Callable[[Item, threading.Event], Found],
    threads: int,
) -> Iterator[Found]:
    """What ``work`` makes of each item; items of one key are worked on once.

    ``work`` is given an event that says when to give up. Once a piece has failed none that comes later is
    begun; those before it are still handed out, then its error is raised.
    """
    failed, ended = threading.Event(), threading.Event()

    def careful(item: Item) -> Found:
        if failed.is_set():  # threads take items in order: the failure is an earlier one's, and raised for it
            raise RuntimeError("not begun: an earlier piece failed")
        try:
            return work(item, ended)
        except BaseException:
            failed.set()
            raise

    waiting: deque[Future[Found]] = deque()
    begun: dict[Hashable, Future[Found]] = {}
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            if len(waiting) >= _AHEAD * threads:
                yield waiting.popleft().result()
            name = key(item)
            if name not in begun:
                begun[name] = pool.submit(careful, item)
            waiting.append(begun[name])
        while waiting:
            yield waiting.popleft().result()
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)  # what is under way is waited for: it may be paid already
