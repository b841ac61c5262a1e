"""What engines are given and give back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xpo.sampler.policy import Policy


@dataclass(frozen=True)
class Draw:
    """How responses are drawn: ``responses`` (K) to every prompt.

    Logits are divided by ``temperature``, then tokens beyond the ``top_k`` likeliest (null: none), then those
    beyond the smallest set of mass ``top_p``. Neither EOS nor a stop string ends a response before it has
    more than ``min_new_tokens`` tokens; ``max_new_tokens`` end it. ``tokens``: positions of one generation
    batch, K rows for each of its prompts; a prompt that needs more than that is a batch of its own.
    """

    responses: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_new_tokens: int = 0
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    tokens: int = 16384

    def __post_init__(self) -> None:
        for name in ("responses", "max_new_tokens", "tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, or null for all tokens, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 (all tokens), got {self.top_p}")
        if not 0 <= self.min_new_tokens < self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens must be 0 to max_new_tokens - 1 = {self.max_new_tokens - 1}, "
                f"got {self.min_new_tokens}"
            )
        if isinstance(self.stop, str) or not all(isinstance(s, str) and s for s in self.stop):
            raise ValueError(f"stop must be a tuple of texts, none of them empty, got {self.stop!r}")

    @property
    def whole(self) -> bool:
        """Whether all of each distribution is drawn from: log-probs are then those of the scoring pass at
        this temperature."""
        return self.top_k is None and self.top_p == 1 and not self.min_new_tokens


@dataclass(frozen=True)
class Sampled:
    """K responses to each of B prompts, as lists of lists.

    ``responses``: token ids, EOS included where it came. ``logps``: the log-probability (nats) of every token
    under the distribution that it was drawn from. ``finished``: ended by EOS or a stop string, not by
    ``max_new_tokens``. Raises ``ValueError`` where the three do not agree in size, or a response is empty.
    """

    responses: list[list[list[int]]]
    logps: list[list[list[float]]]
    finished: list[list[bool]]

    def __post_init__(self) -> None:
        sizes = [[len(tokens) for tokens in row] for row in self.responses]
        if sizes != [[len(logp) for logp in row] for row in self.logps]:
            raise ValueError("logps must hold one number for each token of responses")
        if list(map(len, sizes)) != list(map(len, self.finished)):
            raise ValueError("finished must hold one truth value for each response")
        if not all(size for row in sizes for size in row):
            raise ValueError("a response has no token")

    def some(self, places: Sequence[int]) -> Sampled:
        """Of some of the prompts."""
        return Sampled(*([values[place] for place in places] for values in vars(self).values()))


class Engine(Protocol):
    """Draws K responses to each prompt (token ids, BOS included where the policy wants it).

    Every prompt has random numbers of its own, seeded by the generator: its responses depend on the
    generator's state and on its place among the prompts, not on the size of generation batches (but for a
    token whose edge in the distribution rounding moves across the random number: about 1 in a million in
    float32). The global random state and the model's mode are left as they were. A server draws with random
    numbers of its own, which it may not keep to.
    """

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled: ...


def seeds(count: int, generator: torch.Generator) -> list[int]:
    """One seed for each prompt."""
    return torch.randint(2**63 - 1, (count,), generator=generator, device=generator.device).tolist()


def chances(seed: int, draw: Draw) -> Tensor:
    """The random numbers of one prompt, KT, uniform in [0, 1), float64: one for each token."""
    own = torch.Generator().manual_seed(seed)
    return torch.rand(draw.responses, draw.max_new_tokens, generator=own, dtype=torch.float64)


def pick(logp_RV: Tensor, chance_R: Tensor) -> Tensor:
    """The index at which the cumulated probability passes the random number; never one without mass."""
    mass_RV = logp_RV.exp().to(widest(logp_RV.device)).cumsum(1)
    level_R1 = chance_R[:, None].to(mass_RV) * mass_RV[:, -1:]
    return torch.searchsorted(mass_RV, level_R1, right=True).squeeze(1).clamp(max=logp_RV.shape[1] - 1)


def widest(device: torch.device) -> torch.dtype:
    """The floats with the most digits that the device has."""
    return torch.float32 if device.type == "mps" else torch.float64
