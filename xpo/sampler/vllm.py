"""Drawing by a running vLLM server, which may be of another machine.

Written against the documentation of vLLM 0.32: ``/v1/completions`` takes token ids and, with
``return_token_ids``, gives them back (since 0.10.2); log-probabilities are those after temperature, top-k and
top-p if the server was started with ``--logprobs-mode processed_logprobs``. New weights: its own transfer
engines need NCCL or pickled handles; here the server reads its folder again (``/pause``, ``/collective_rpc``
with ``reload_weights``, ``/reset_prefix_cache``, ``/resume``, which exist under ``VLLM_SERVER_DEV_MODE=1``),
so that only safetensors go over. Start it, reachable by nobody else, with

    VLLM_SERVER_DEV_MODE=1 vllm serve FOLDER --served-model-name policy --logprobs-mode processed_logprobs
"""

from __future__ import annotations

import copy
import dataclasses
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from xpo.errors import UserError
from xpo.judge.endpoint import Endpoint
from xpo.judge.errors import Again
from xpo.judge.order import in_order
from xpo.judge.pace import WATCH, Clock, pause
from xpo.judge.wire import Refused, Wire
from xpo.sampler.base import Draw, Sampled, seeds
from xpo.sampler.completion import Drawn, Expected, parsed
from xpo.sampler.policy import Policy

_LONGEST = 2**30  # bytes of an answer: ids and log-probabilities of many long responses

T = TypeVar("T")


@dataclass(frozen=True)
class Vllm:
    """An engine (``xpo.sampler.base``) over ``endpoint``: ``url`` ends in /v1, ``model`` is the served name.

    ``folder`` is where the server reads its weights from, for ``update``. Each prompt is one request for K
    responses with a seed of its own; vLLM keeps to it as far as its batches let it. What the server holds is
    the caller's to keep up to date: responses are drawn from its weights. Raises ``UserError`` where it does
    not answer, serves another model, gives no token ids or log-probabilities of another distribution, or is
    asked for what it does not do (a support, a critic's decoding).
    """

    endpoint: Endpoint
    folder: Path | None = None
    clock: Clock = WATCH

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        if policy.scoring.support is not None or policy.decoding is not None:
            raise UserError("a vLLM server draws from the model alone: no support, no critic's decoding")
        jobs = list(zip(prompts, seeds(len(prompts), generator), strict=True))
        with _open(self) as server:
            if jobs:
                server.check(policy, prompts[0], draw)

            def ask(job: tuple[Sequence[int], int], stop: threading.Event) -> list[Drawn]:
                return server.completions(policy, job[0], draw, stop, seed=job[1])

            rows = list(in_order(jobs, lambda job: job[1], ask, self.endpoint.concurrency))
        return Sampled(
            [[tokens for tokens, _, _ in row] for row in rows],
            [[logps for _, logps, _ in row] for row in rows],
            [[done for _, _, done in row] for row in rows],
        )

    def update(self, policy: Policy) -> None:
        """Give the server the policy's weights: written into its folder, and read again from there.

        An adapter is merged into a copy. A server that fails in between stays paused.
        """
        if self.folder is None:
            raise UserError("the server's folder is not known: no weights can be given to it")
        with _open(self) as server:
            server.control("/pause?mode=wait&clear_cache=true")
            model = policy.model
            if hasattr(model, "merge_and_unload"):
                model = copy.deepcopy(model).merge_and_unload()
            model.save_pretrained(self.folder)
            server.control("/collective_rpc", {"method": "reload_weights"})
            server.control("/reset_prefix_cache")
            server.control("/resume")


class _open:
    """A connection for as long as it is used."""

    def __init__(self, engine: Vllm) -> None:
        self._engine = engine

    def __enter__(self) -> _Server:
        self._wire = Wire.open(self._engine.endpoint, _LONGEST)
        return _Server(self._engine, self._wire)

    def __exit__(self, *_: object) -> None:
        self._wire.client.close()


@dataclass(frozen=True)
class _Server:
    engine: Vllm
    wire: Wire
    chance: random.Random = dataclasses.field(default_factory=random.Random)  # of its own

    @property
    def url(self) -> str:
        return self.engine.endpoint.url

    @property
    def root(self) -> str:
        """What is not OpenAI's stands beside /v1."""
        return self.url.removesuffix("/v1")

    def check(self, policy: Policy, prompt: Sequence[int], draw: Draw) -> None:
        """Raises ``UserError`` unless the server can give what is asked for."""
        stop = threading.Event()
        self.ask("GET", f"{self.root}/health", None, lambda text: None, stop)
        names = self.ask("GET", f"{self.url}/models", None, _served, stop)
        name = self.engine.endpoint.model
        if name not in names:
            raise UserError(f"{self.url} serves {', '.join(names) or 'no model'}, not {name}")
        one = dataclasses.replace(draw, responses=1, top_k=1, top_p=1.0, max_new_tokens=1, min_new_tokens=0)
        ((_, (logp,), _),) = self.completions(policy, prompt, one, stop, seed=0)
        if logp != 0 and not (draw.whole and draw.temperature == 1):
            raise UserError(
                f"{self.url} gives log-probabilities from before temperature, top_k and top_p: start it with "
                "--logprobs-mode processed_logprobs"
            )

    def completions(
        self, policy: Policy, prompt: Sequence[int], draw: Draw, stop: threading.Event, seed: int
    ) -> list[Drawn]:
        body = {
            "model": self.engine.endpoint.model,
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
        limits = draw.min_new_tokens, draw.max_new_tokens, bool(draw.stop)
        expected = Expected(self.url, prompt, draw.responses, vocabulary, policy.ends, *limits)
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
        attempts = self.engine.endpoint.retries + 1
        for attempt in range(attempts):
            if attempt:
                wait = pause(attempt - 1, self.chance) if error.wait is None else error.wait
                self.engine.clock.sleep(wait, stop)
            if stop.is_set():
                raise error
            try:
                return read(self.wire.exchange(method, url, body))
            except Again as found:
                error = found
        raise UserError(
            f"{url} gave no usable answer in {attempts} attempt{'s' * (attempts > 1)}; the last time: {error}. "
            "Is a vLLM server running there?"
        )


_NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0}
"""A checkpoint's generation config would be taken where nothing is said."""


def _served(text: str) -> list[str]:
    models = parsed(text).get("data")
    if not isinstance(models, list) or not all(isinstance(m, dict) and "id" in m for m in models):
        raise Again(f"the list of models is none: {text[:80]!r}")
    return [str(model["id"]) for model in models]
