"""One HTTP request and its answer: what may be tried again, and what a server refuses."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from xpo.errors import UserError
from xpo.judge.endpoint import Endpoint
from xpo.judge.errors import Again
from xpo.judge.pace import LONGEST_WAIT, retry_after
from xpo.judge.reply import whole_text
from xpo.judge.secret import hidden


class Refused(UserError):
    """A server that says no; asking again cannot help. ``later``: it could after a long time.

    ``status`` is the HTTP status, ``said`` what the server gave as its reason.
    """

    def __init__(self, text: str, status: int, said: str, later: bool = False) -> None:
        super().__init__(text)
        self.status, self.said, self.later = status, said, later


@dataclass(frozen=True)
class Wire:
    """A connection to one endpoint, for several threads; the key is in its headers and nowhere else.

    ``longest`` is how long an answer may be, in bytes.
    """

    endpoint: Endpoint
    client: httpx2.Client
    longest: int = 8 * 2**20

    @classmethod
    def open(cls, endpoint: Endpoint, longest: int = 8 * 2**20) -> Wire:
        client = httpx2.Client(
            timeout=endpoint.timeout,
            limits=httpx2.Limits(max_connections=endpoint.concurrency),
            headers={} if endpoint.key is None else {"Authorization": f"Bearer {endpoint.key}"},
        )
        return cls(endpoint, client, longest)

    def exchange(self, method: str, url: str, body: dict[str, Any] | None = None) -> str:
        """The answer's text. Raises ``Again`` where another attempt may help, else ``Refused``."""
        more: dict[str, Any] = {}
        if body is not None:
            more = {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}
        timeout = self.endpoint.timeout
        try:
            with self.client.stream(method, url, **more) as response:
                text = self._clean(self._read(response, time.monotonic() + timeout))
        except httpx2.TimeoutException:
            raise Again(f"no answer within timeout={timeout:g} seconds") from None
        except httpx2.ConnectError as error:
            raise Again(f"no connection: {self._clean(str(error))}", billed=False) from None
        except httpx2.RequestError as error:
            why = f"{type(error).__name__} {self._clean(str(error))}"
            raise Again(f"the connection failed: {why}") from None
        if not 200 <= response.status_code < 300:
            raise self._refusal(response, text)
        return text

    def _read(self, response: httpx2.Response, deadline: float) -> str:
        """The body; the client's own timeout is between two pieces of it, the deadline for all."""
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("", request=response.request)
            if len(body) > self.longest:
                raise Again(f"the answer is longer than {self.longest} bytes")
        return body.decode("utf-8", errors="replace")

    def _clean(self, text: str) -> str:
        """What a server sends back never carries the key into a file or a message."""
        return hidden(text, self.endpoint.key)

    def _refusal(self, response: httpx2.Response, text: str) -> Exception:
        """For statuses that are no answer: 408, 429 and the server's own errors may pass, others do not."""
        status, reason, url = response.status_code, self._clean(_message(text)), self.endpoint.url
        said = f"status {status}: {reason}"
        if status not in (408, 429) and status < 500:
            return Refused(f"{url} refuses the request with {said}", status, reason)
        wait = retry_after(response.headers.get("Retry-After"))
        if wait is not None and wait > LONGEST_WAIT:
            text = f"{url} asks to come back in {wait:.0f} seconds ({said})"
            return Refused(text, status, reason, later=True)
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
    return whole_text(str(found))[:300].strip() or "nothing was said"
