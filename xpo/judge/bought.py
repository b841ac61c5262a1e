"""Answers that are paid for once: kept on disk by the content of the request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from xpo.annotator.store import Store
from xpo.judge.bill import Bill
from xpo.judge.call import Body, Caller
from xpo.judge.errors import Again
from xpo.judge.reply import Reply
from xpo.run.say import say

T = TypeVar("T")


class Bought:
    """One file of replies, and who to ask for those that it lacks.

    Processes that ask the same judge take turns, so that none pays for what another one is buying.
    """

    def __init__(self, path: Path, caller: Caller, bill: Bill) -> None:
        self._path, self._caller, self._bill = path, caller, bill
        self._writing = threading.Lock()
        # one for the whole process: a labelling that was given up may not have let go of it yet
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = FileLock(path.with_suffix(".lock"), thread_local=False, is_singleton=True)
        try:
            self._turn.acquire(timeout=0)
        except Timeout:
            say("waiting for another process that asks the same judge: what it buys is not bought again")
            self._turn.acquire()
        self._store = Store(path)

    def close(self) -> None:
        self._turn.release()

    def get(self, body: Body, read: Callable[[Reply], T], remind: str | None, stop: threading.Event) -> T:
        """What ``read`` makes of the reply, which is bought if it is not there; see ``Caller.ask``."""
        name = request_key(body)
        stored = self._store.get(name)
        if stored is not None:
            try:
                found = read(Reply.of_stored(stored))
            except (Again, KeyError, TypeError, ValueError):  # of another version, or damaged
                pass
            else:
                self._bill.count(cached=1)
                return found
        reply, found = self._caller.ask(body, read, remind, stop)
        with self._writing:
            self._store.put(name, reply.stored())
        return found


def request_key(body: Body) -> str:
    """A hash of a request's content."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
