"""One request, as often as it takes: retries, pauses, and an error that says what the server said."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2

from xpo.judge.bill import Bill, Usage
from xpo.judge.endpoint import Endpoint
from xpo.judge.errors import Again, JudgeError
from xpo.judge.pace import LONGEST_WAIT, Clock, Pace, pause, retry_after
from xpo.judge.reply import Reply, parsed

_LONGEST_BODY = 8 * 2**20  # bytes
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
        self._client = httpx2.Client(
            timeout=endpoint.timeout,
            limits=httpx2.Limits(max_connections=endpoint.concurrency),
            headers={} if endpoint.key is None else {"Authorization": f"Bearer {endpoint.key}"},
        )

    def close(self) -> None:
        self._client.close()

    def ask(
        self, body: Body, read: Callable[[Reply], T], remind: str | None, stop: threading.Event
    ) -> tuple[Reply, T]:
        """The reply and what ``read`` makes of it.

        An answer that ``read`` cannot use (``Again``) is asked for again, with ``remind`` behind it. Raises
        ``JudgeError`` when the retries are used up, or at once where asking again cannot help.
        """
        sent, error = body, Again("not asked")
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
            if error.said is not None and remind is not None:
                sent = _reminded(body, error.said, remind)
        attempts = self._endpoint.retries + 1
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
            return reply
        except Again as error:
            billed = error.billed
            raise
        except JudgeError:
            billed = False
            raise
        finally:
            self._bill.settle(reserved, usage, billed)

    def _post(self, sent: Body) -> str:
        url, content = f"{self._endpoint.url}/chat/completions", json.dumps(sent).encode()
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream("POST", url, content=content, headers=headers) as response:
                text = self._clean(_read(response, time.monotonic() + self._endpoint.timeout))
        except httpx2.TimeoutException:
            raise Again(f"no answer within timeout={self._endpoint.timeout:g} seconds") from None
        except httpx2.ConnectError as error:
            raise Again(f"no connection: {self._clean(str(error))}", billed=False) from None
        except httpx2.RequestError as error:
            raise Again(f"the connection failed: {type(error).__name__} {self._clean(str(error))}") from None
        if not 200 <= response.status_code < 300:
            raise _refusal(self._endpoint, response, text)
        return text

    def _clean(self, text: str) -> str:
        """What a server sends back never carries the key into a file or a message."""
        return text if self._endpoint.key is None else text.replace(self._endpoint.key, "[key]")


def _read(response: httpx2.Response, deadline: float) -> str:
    """The body; the client's own timeout is between two pieces of it, the deadline for all."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("", request=response.request)
        if len(body) > _LONGEST_BODY:
            raise Again(f"the answer is longer than {_LONGEST_BODY} bytes")
    return body.decode("utf-8", errors="replace")


def _refusal(endpoint: Endpoint, response: httpx2.Response, text: str) -> Exception:
    """For statuses that are no answer: 408, 429 and the server's own errors may pass, others do not."""
    status = response.status_code
    said = f"status {status}: {_message(text)}"
    if status not in (408, 429) and status < 500:
        return JudgeError(f"{endpoint.url} refuses the request with {said}")
    wait = retry_after(response.headers.get("Retry-After"))
    if wait is not None and wait > LONGEST_WAIT:
        return JudgeError(
            f"{endpoint.url} asks to come back in {wait:.0f} seconds ({said}). What was bought is kept: "
            "go on then"
        )
    return Again(said, wait=wait, billed=False)


def _message(text: str) -> str:
    """What a server says in an error's body, in the forms in which servers do."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    for name in ("error", "detail", "message"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return str(found)[:300].strip() or "nothing was said"


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
