"""A judge behind an OpenAI-compatible HTTP endpoint: nothing is asked twice, and nothing is made up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from xpo.judge.backend import Conversation, Draw
from xpo.judge.bill import Bill
from xpo.judge.bought import Bought, request_key
from xpo.judge.call import Body, Caller
from xpo.judge.endpoint import Endpoint
from xpo.judge.order import in_order
from xpo.judge.pace import WATCH, Clock
from xpo.judge.reply import Reply
from xpo.judge.verdict import check_options, shares
from xpo.run.say import say

ANSWER_TOKENS = 16
"""Of an answer that names an option: enough for "Answer: A"."""

T = TypeVar("T")


class HttpBackend:
    """A ``xpo.judge.backend.Backend`` that asks ``<url>/chat/completions``; used in a ``with`` statement.

    Answers are kept in ``cache/judge`` the moment they come, so that a run that was killed pays for none of
    them again. ``out`` gets ``judge.json`` with requests, tokens and cost. Raises ``JudgeError`` where no
    usable answer comes after all retries. A conversation that ends in an assistant's turn is gone on with by
    ``continue_final_message``, which not every server knows.
    """

    def __init__(
        self, endpoint: Endpoint, cache: Path, out: Path | None = None, clock: Clock = WATCH
    ) -> None:
        self._endpoint, self._cache, self._out, self._clock = endpoint, cache, out, clock

    def __enter__(self) -> Self:
        self._bill = Bill(self._endpoint.prices, self._out)
        self._caller = Caller(self._endpoint, self._bill, self._clock)
        digest = hashlib.sha256(self.fingerprint.encode()).hexdigest()[:16]
        self._bought = Bought(self._cache / "judge" / f"{digest}.jsonl", self._caller, self._bill)
        return self

    def __exit__(self, *_: object) -> None:
        self._bought.close()
        self._caller.close()
        self._bill.close()
        say(f"judge {self._endpoint.model}, in this run so far: {self._bill.text()}")

    @property
    def fingerprint(self) -> str:
        return self._endpoint.fingerprint

    def options(self, asked: Sequence[Conversation], options: Sequence[str]) -> Iterator[tuple[float, ...]]:
        """From log-probabilities where the server gives them, else certain (``xpo.judge.verdict.shares``)."""
        check_options(options)
        about: Body = {"temperature": 0, "max_tokens": ANSWER_TOKENS}
        if self._endpoint.top_logprobs:
            about |= {"logprobs": True, "top_logprobs": self._endpoint.top_logprobs}
        bodies = (self._body(conversation, **about) for conversation in asked)
        remind = f"Answer with one of {', '.join(options)} and nothing else."
        for found, told in self._replies(bodies, lambda reply: shares(reply, options), remind):
            self._bill.count(without_logprobs=not told)
            yield found

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        """Each is a request of its own, as not every server gives several; at temperature 0 all are one."""
        drawn = draw.n if draw.temperature else 1
        about: Body = {"temperature": draw.temperature, "max_tokens": draw.max_new_tokens}
        seeds: list[Body] = [{"seed": draw.seed + i} if draw.temperature else {} for i in range(drawn)]
        bodies = (self._body(conversation, **about, **seed) for conversation in asked for seed in seeds)
        found = self._replies(bodies, lambda reply: reply.text)
        for _ in asked:
            texts = tuple(next(found) for _ in range(drawn))
            yield texts * (draw.n // drawn)

    def _body(self, conversation: Conversation, **about: Any) -> Body:
        messages = [{"role": turn.role, "content": turn.content} for turn in conversation]
        if conversation[-1].role == "assistant":
            about |= {"continue_final_message": True, "add_generation_prompt": False}
        return {"model": self._endpoint.model, "messages": messages, **about}

    def _replies(
        self, bodies: Iterable[Body], read: Callable[[Reply], T], remind: str | None = None
    ) -> Iterator[T]:
        bought = self._bought
        threads = self._endpoint.concurrency
        return in_order(bodies, request_key, lambda body, stop: bought.get(body, read, remind, stop), threads)
