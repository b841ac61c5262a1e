"""One request, as often as it takes: retries, pauses, and an error that says what the server said."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from xpo.judge.bill import Bill, Usage
from xpo.judge.endpoint import Endpoint
from xpo.judge.errors import Again, JudgeError
from xpo.judge.pace import Clock, Pace, pause
from xpo.judge.reply import Reply, parsed
from xpo.judge.wire import Refused, Wire

_PER_MESSAGE = 64  # tokens of a chat template around a message, at most
_GOES_ON = ("continue_final_message", "add_generation_prompt")

Body = dict[str, Any]
"""A request, as JSON."""

T = TypeVar("T")


class Caller:
    """Asks one endpoint, from several threads; the key is in its headers and nowhere else."""

    def __init__(self, endpoint: Endpoint, bill: Bill, clock: Clock) -> None:
        self._endpoint, self._bill, self._clock = endpoint, bill, clock
        self._pace = Pace(endpoint.requests_per_minute, clock)
        self._chance = random.Random()  # of its own: a run's draws do not depend on a server's moods
        self._wire = Wire.open(endpoint)

    def close(self) -> None:
        self._wire.client.close()

    def ask(
        self, body: Body, read: Callable[[Reply], T], remind: str | None, stop: threading.Event
    ) -> tuple[Reply, T]:
        """The reply and what ``read`` makes of it.

        An answer that ``read`` cannot use (``Again``) is asked for again, with ``remind`` behind it: once at
        temperature 0, where the next would be alike. Raises ``JudgeError`` when the retries are used up, or
        at once where asking again cannot help.
        """
        sent, error, unread, attempt = body, Again("not asked"), 0, 0
        for attempt in range(self._endpoint.retries + 1):
            if attempt and error.said is None and error.wait is None:
                self._clock.sleep(pause(attempt - 1, self._chance), stop)
            self._pace.wait(stop)
            if stop.is_set():
                raise error
            try:
                reply = self._once(sent, again=attempt > 0)
                return reply, read(reply)
            except Again as found:
                error = found
            if error.wait is not None:
                self._pace.hold(error.wait)
            unread += error.said is not None
            if unread > 1 and not body["temperature"]:
                break
            if error.said is not None and remind is not None:
                sent = _reminded(body, error.said, remind)
        attempts = attempt + 1
        raise JudgeError(
            f"{self._endpoint.url} gave no usable answer in {attempts} attempt{'s' * (attempts > 1)}; "
            f"the last time: {error}"
        )

    def _once(self, sent: Body, again: bool) -> Reply:
        reserved = self._bill.reserve(_most(sent), again)
        usage, billed = None, True
        try:
            reply = parsed(self._post(sent))
            usage = reply.usage
            return reply.without(self._endpoint.key)
        except Again as error:
            billed = error.billed
            raise
        except JudgeError:
            billed = False
            raise
        finally:
            self._bill.settle(reserved, usage, billed)

    def _post(self, sent: Body) -> str:
        try:
            return self._wire.exchange("POST", f"{self._endpoint.url}/chat/completions", sent)
        except Refused as error:
            kept = ". What was bought is kept: go on then" if error.later else ""
            raise JudgeError(f"{error}{kept}") from None


def _most(sent: Body) -> Usage:
    """An upper bound of tokens: a token is a byte or more."""
    texts = [message["content"] for message in sent["messages"]]
    prompt = sum(len(text.encode("utf-8", errors="replace")) + _PER_MESSAGE for text in texts)
    return Usage(prompt + _PER_MESSAGE, sent["max_tokens"])


def _reminded(body: Body, said: str, remind: str) -> Body:
    """The same question, with the answer that could not be used and what is wanted behind it."""
    messages = list(body["messages"])
    if messages[-1]["role"] == "assistant":
        said = messages.pop()["content"] + said
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": remind}]
    return {**{key: value for key, value in body.items() if key not in _GOES_ON}, "messages": messages}
