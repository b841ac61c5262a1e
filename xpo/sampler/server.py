"""The requests that a vLLM server gets; which and why stands in ``xpo.sampler.vllm``."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from xpo.errors import UserError
from xpo.judge.endpoint import Endpoint
from xpo.judge.errors import Again
from xpo.judge.pace import Clock, pause
from xpo.judge.wire import Refused, Wire
from xpo.sampler.base import Draw
from xpo.sampler.completion import Drawn, Expected, parsed
from xpo.sampler.policy import Policy

_LONGEST = 2**30  # bytes of an answer: ids and log-probabilities of many long responses

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """What is asked of one server; a broken answer is asked for again, as often as the endpoint says."""

    endpoint: Endpoint
    clock: Clock
    wire: Wire
    chance: random.Random = dataclasses.field(default_factory=random.Random)  # of its own

    @classmethod
    @contextmanager
    def of(cls, endpoint: Endpoint, clock: Clock) -> Iterator[Server]:
        """A connection for as long as it is used."""
        wire = Wire.open(endpoint, _LONGEST)
        try:
            yield cls(endpoint, clock, wire)
        finally:
            wire.client.close()

    @property
    def url(self) -> str:
        return self.endpoint.url

    @property
    def root(self) -> str:
        """What is not OpenAI's stands beside /v1."""
        return self.url.removesuffix("/v1")

    def meet(self) -> None:
        """Raises ``UserError`` unless the server is there and serves the model."""
        stop = threading.Event()
        self.ask("GET", f"{self.root}/health", None, lambda text: None, stop)
        names = self.ask("GET", f"{self.url}/models", None, _served, stop)
        name = self.endpoint.model
        if name not in names:
            raise UserError(f"{self.url} serves {', '.join(names) or 'no model'}, not {name}")

    def check(self, policy: Policy, prompt: Sequence[int], draw: Draw) -> None:
        """Raises ``UserError`` unless the server can give what is asked for."""
        self.meet()
        stop = threading.Event()
        one = dataclasses.replace(draw, responses=1, top_k=1, top_p=1.0, max_new_tokens=1, min_new_tokens=0)
        ((_, (logp,), _),) = self.completions(policy, prompt, one, stop, seed=0)
        if logp < -1e-6 and not (draw.whole and draw.temperature == 1):
            raise UserError(
                f"{self.url} gives log-probabilities from before temperature, top_k and top_p: start it with "
                "--logprobs-mode processed_logprobs"
            )

    def completions(
        self, policy: Policy, prompt: Sequence[int], draw: Draw, stop: threading.Event, seed: int
    ) -> list[Drawn]:
        body = {
            "model": self.endpoint.model,
            "prompt": list(prompt),
            "n": draw.responses,
            "seed": seed,
            "temperature": draw.temperature,
            "top_k": draw.top_k or 0,
            "top_p": draw.top_p,
            "min_tokens": draw.min_new_tokens,
            "max_tokens": draw.max_new_tokens,
            "stop": list(draw.stop),
            "include_stop_str_in_output": True,
            "stop_token_ids": sorted(policy.ends),
            "logprobs": 0,  # of the drawn token alone
            "return_token_ids": True,
            "skip_special_tokens": False,
            "add_special_tokens": False,
            **_NEUTRAL,
        }
        vocabulary = policy.model.config.get_text_config().vocab_size
        expected = Expected(self.url, prompt, draw, vocabulary, policy.ends)
        return self.ask("POST", f"{self.url}/completions", body, expected.read, stop)

    def control(self, path: str, body: dict[str, Any] | None = None) -> None:
        """One of the endpoints for weights; not asked twice, as none is known to bear it."""
        try:
            self.wire.exchange("POST", f"{self.root}{path}", body)
        except Again as error:
            raise UserError(f"{self.root}{path} failed, and the server may be paused: {error}") from None
        except Refused as error:
            if error.status != 404:
                raise
            raise UserError(
                f"{self.root} has no {path.partition('?')[0]}: start it with VLLM_SERVER_DEV_MODE=1"
            ) from None

    def ask(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        read: Callable[[str], T],
        stop: threading.Event,
    ) -> T:
        """What ``read`` makes of the answer; ``UserError`` once the retries are used up."""
        error = Again("not asked")
        attempts = self.endpoint.retries + 1
        for attempt in range(attempts):
            if attempt:
                wait = pause(attempt - 1, self.chance) if error.wait is None else error.wait
                self.clock.sleep(wait, stop)
            if stop.is_set():
                raise error
            try:
                return read(self.wire.exchange(method, url, body))
            except Again as found:
                error = found
        raise UserError(
            f"{url} gave no usable answer in {attempts} attempt{'s' * (attempts > 1)}; the last time: "
            f"{error}. Is a vLLM server running there?"
        )


_NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0}
"""A checkpoint's generation config would be taken where nothing is said."""


def _served(text: str) -> list[str]:
    models = parsed(text).get("data")
    if not isinstance(models, list) or not all(isinstance(m, dict) and "id" in m for m in models):
        raise Again(f"the list of models is none: {text[:80]!r}")
    return [str(model["id"]) for model in models]
