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
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from xpo.errors import UserError
from xpo.judge.endpoint import Endpoint
from xpo.judge.order import in_order
from xpo.judge.pace import WATCH, Clock
from xpo.sampler.base import Draw, Sampled, seeds
from xpo.sampler.completion import Drawn
from xpo.sampler.policy import Policy
from xpo.sampler.server import Server


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
        with Server.of(self.endpoint, self.clock) as server:
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

    def meet(self) -> None:
        """``UserError`` unless the server is there and serves the model: nothing has to be loaded for it."""
        with Server.of(self.endpoint, self.clock) as server:
            server.meet()

    def update(self, policy: Policy) -> None:
        """Give the server the policy's weights: written into its folder, and read again from there.

        An adapter is merged into a copy. A server that fails in between stays paused.
        """
        if self.folder is None:
            raise UserError("the server's folder is not known: no weights can be given to it")
        with Server.of(self.endpoint, self.clock) as server:
            server.control("/pause?mode=wait&clear_cache=true")
            model = policy.model
            if hasattr(model, "merge_and_unload"):
                model = copy.deepcopy(model).merge_and_unload()
            model.save_pretrained(self.folder)
            server.control("/collective_rpc", {"method": "reload_weights"})
            server.control("/reset_prefix_cache")
            server.control("/resume")
