"""Where and how an OpenAI-compatible endpoint is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from xpo.judge.bill import Prices


@dataclass(frozen=True)
class Endpoint:
    """``timeout`` is in seconds for one request, prices are per million tokens; the key is never shown."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 5
    concurrency: int = 4
    requests_per_minute: float | None = None
    top_logprobs: int = 20
    price_per_million_prompt_tokens: float | None = None
    price_per_million_completion_tokens: float | None = None
    max_cost: float | None = None

    @property
    def fingerprint(self) -> str:
        """Address and name: the same name may stand for another model elsewhere."""
        return f"{self.url} {self.model} {self.top_logprobs}"

    @property
    def prices(self) -> Prices | None:
        one, other = self.price_per_million_prompt_tokens, self.price_per_million_completion_tokens
        return None if one is None or other is None else Prices(one, other, self.max_cost)
