"""Which model a judge asks: one on this machine, or one behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xpo.annotator.base import Desk
from xpo.judge.address import checked_key, checked_url
from xpo.judge.endpoint import Endpoint

if TYPE_CHECKING:
    from xpo.judge.backend import Backend

_LOCAL = ("revision", "dtype")
_SERVED = (
    "model",
    "key_variable",
    "timeout",
    "retries",
    "concurrency",
    "requests_per_minute",
    "top_logprobs",
    "price_per_million_prompt_tokens",
    "price_per_million_completion_tokens",
    "max_cost",
)


@dataclass(frozen=True)
class Asking:
    """The keys by which annotators name the model that they ask; stands before ``Labeller`` among the bases.

    ``path`` (a Hugging Face folder or hub name) or ``url`` (what stands before ``/chat/completions``), with
    ``model``, the name that it serves. ``key_variable`` is the environment variable with the API key.
    ``timeout`` is in seconds for one request, 60 if null; ``retries`` 5, ``concurrency`` 4,
    ``top_logprobs`` 20 (0: the answer's text alone is read). ``max_cost`` is in the unit of the prices, for
    one run. Raises ``ValueError`` for a key that nothing would read.
    """

    path: str | None = None
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] | None = None
    url: str | None = None
    model: str | None = None
    key_variable: str | None = None
    timeout: float | None = None
    retries: int | None = None
    concurrency: int | None = None
    requests_per_minute: float | None = None
    top_logprobs: int | None = None
    price_per_million_prompt_tokens: float | None = None
    price_per_million_completion_tokens: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url is None):
            got = "neither" if self.path is None else "both"
            raise ValueError(
                f"path (a model folder or hub name) or url (an endpoint, with model) says who is asked: give "
                f"one of them, got {got}"
            )
        one, other, unread = ("path", "url", _SERVED) if self.url is None else ("url", "path", _LOCAL)
        for name in unread:
            if self.__dict__[name] is not None:
                raise ValueError(f"{name} is read with {other} alone, and {one} is given: leave it away")
        if self.url is not None:
            self._check_endpoint()

    def _check_endpoint(self) -> None:
        checked_url(str(self.url))
        checked_key(self.key_variable)
        if not self.model:
            raise ValueError("model is not set: give the name under which the endpoint serves it")
        for name in ("timeout", "requests_per_minute", "max_cost"):
            _check(name, self.__dict__[name], lambda value: 0 < value < math.inf, "above 0 and finite")
        _check("retries", self.retries, lambda value: value >= 0, "0 or more")
        _check("concurrency", self.concurrency, lambda value: value >= 1, "1 or more")
        _check("top_logprobs", self.top_logprobs, lambda value: value == 0 or value >= 2, "0, or 2 or more")
        prices = self.price_per_million_prompt_tokens, self.price_per_million_completion_tokens
        for name, price in zip(("prompt", "completion"), prices, strict=True):
            _check(
                f"price_per_million_{name}_tokens", price, lambda v: 0 <= v < math.inf, "0 or more, finite"
            )
        if (prices[0] is None) != (prices[1] is None):
            raise ValueError(
                "give both price_per_million_prompt_tokens and price_per_million_completion_tokens"
            )
        if self.max_cost is not None and prices[0] is None:
            raise ValueError(
                "max_cost needs both prices (price_per_million_prompt_tokens, ..._completion_tokens)"
            )

    @property
    def reads(self) -> tuple[tuple[str, str], ...]:
        """The model of this machine, if it is that which is asked."""
        return () if self.path is None else (("annotator.path", self.path),)

    @contextlib.contextmanager
    def open(self, desk: Desk) -> Iterator[Backend]:
        """``with self.open(desk) as backend``: what was spent is said at its end, and the model let go."""
        if self.path is not None:
            yield _local(self.path, self.revision, self.dtype)
            return
        from xpo.judge.http import HttpBackend

        with HttpBackend(self._endpoint(), desk.cache, desk.out) as backend:
            yield backend

    def _endpoint(self) -> Endpoint:
        given = {name: self.__dict__[name] for name in _SERVED if self.__dict__[name] is not None}
        key = checked_key(given.pop("key_variable", None))
        return Endpoint(url=checked_url(str(self.url)), key=key, **given)

    def fingerprint(self, desk: Desk) -> str:
        """Who is asked, and every setting of the annotator's own; no key, and no folder."""
        if self.path is not None:
            who = _weights(self.path, self.revision, self.dtype, _stamps(self.path))
        else:
            who = self._endpoint().fingerprint
        return repr((type(self).__name__, sorted(self.settings().items()), who))

    def settings(self) -> dict[str, Any]:
        """What a verdict depends on beside the model and the record; contents of files, not their paths."""
        shared = {field.name for field in dataclasses.fields(Asking)}
        own = (field.name for field in dataclasses.fields(self) if field.name not in shared)
        return {name: self.__dict__[name] for name in own}


def _check(name: str, value: Any, fine: Any, allowed: str) -> None:
    if value is not None and not fine(value):
        raise ValueError(f"{name} must be {allowed}, got {value}")


def _local(path: str, revision: str | None, dtype: Any) -> Backend:
    from xpo.judge.local import LocalBackend
    from xpo.model.hf import HuggingFace

    return LocalBackend.load(HuggingFace(path, revision, dtype or "auto"), "annotator.path")


@cache
def _weights(path: str, revision: str | None, dtype: Any, stamps: tuple[Any, ...]) -> str:
    """A model is loaded for it and let go, once in a process unless its files have changed."""
    return f"{_local(path, revision, dtype).fingerprint} {dtype or 'auto'}"


def _stamps(path: str) -> tuple[Any, ...]:
    """When the files of a folder were written; none for a hub name."""
    files = sorted(file for file in Path(path).expanduser().glob("*") if file.is_file())
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
