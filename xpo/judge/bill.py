"""What asking costs: requests, tokens, money, and where it must stop."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path

from xpo.annotator.verdict import is_finite
from xpo.judge.errors import JudgeError
from xpo.run.files import read_json, write_json


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in the unit of ``most``; a run that would cost more than that stops."""

    prompt: float = 0.0
    completion: float = 0.0
    most: float | None = None

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass
class Totals:
    """Of one run, all its sessions together. ``uncounted``: requests that may have been billed without a
    token count (no usage in the answer, or no answer), charged at the most that they can have cost."""

    requests: int = 0
    retries: int = 0
    cached: int = 0
    without_logprobs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Usage:
    """Tokens of one answered request, as the server counts them."""

    prompt_tokens: int
    completion_tokens: int


class Bill:
    """Keeps ``judge.json`` in the run's folder up to date; a run that goes on adds to what stands there."""

    def __init__(self, prices: Prices | None, out: Path | None) -> None:
        self._prices, self._lock, self._reserved = prices, threading.Lock(), 0.0
        self._path = None if out is None else out / "judge.json"
        self.totals = Totals()
        if self._path is not None and self._path.is_file():
            self.totals = _read(self._path)

    def reserve(self, most: Usage, again: bool) -> float:
        """Count a request that is about to go, and set its highest cost aside.

        Raises ``JudgeError`` where it could pass ``max_cost``, with what was spent and what is under way.
        """
        with self._lock:
            cost = (
                0.0 if self._prices is None else self._prices.of(most.prompt_tokens, most.completion_tokens)
            )
            due = self.totals.cost + self._reserved + cost
            limit = None if self._prices is None else self._prices.most
            if limit is not None and due > limit:
                raise JudgeError(
                    f"max_cost={limit:g} could be passed by the next request: {self.totals.cost:.4g} spent, "
                    f"{self._reserved:.4g} under way, and at most {cost:.4g} for this one. What was bought "
                    "is kept: raise max_cost to go on"
                )
            self._reserved += cost
            self.totals.requests += 1
            self.totals.retries += again
            return cost

    def settle(self, reserved: float, usage: Usage | None, billed: bool) -> None:
        """The request has ended; without ``usage`` one that may be ``billed`` costs what was set aside."""
        with self._lock:
            self._reserved -= reserved
            if usage is not None:
                self.totals.prompt_tokens += usage.prompt_tokens
                self.totals.completion_tokens += usage.completion_tokens
                if self._prices is not None:
                    self.totals.cost += self._prices.of(usage.prompt_tokens, usage.completion_tokens)
            elif billed:
                self.totals.uncounted += 1
                self.totals.cost += reserved
            self._write()

    def count(self, *, cached: int = 0, without_logprobs: int = 0) -> None:
        with self._lock:
            self.totals.cached += cached
            self.totals.without_logprobs += without_logprobs

    def close(self) -> None:
        with self._lock:
            self._write()

    def text(self) -> str:
        """A line for a person."""
        t = self.totals
        parts = [f"requests {t.requests} ({t.retries} of them again)", f"answers from the cache {t.cached}"]
        parts.append(f"tokens {t.prompt_tokens} + {t.completion_tokens}")
        if self._prices is not None:
            parts.append(f"cost {t.cost:.4g}")
        if t.uncounted:
            parts.append(f"without a token count {t.uncounted}, charged at the most that they can be")
        if t.without_logprobs:
            parts.append(f"without log-probabilities {t.without_logprobs}, taken as certain")
        return ", ".join(parts)

    def _write(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, dataclasses.asdict(self.totals))


def _read(path: Path) -> Totals:
    found = read_json(path)
    try:
        totals = Totals(**{field.name: found[field.name] for field in dataclasses.fields(Totals)})
        for name, value in vars(totals).items():
            whole = isinstance(value, int) or name == "cost"
            if not whole or not is_finite(value) or value < 0:
                raise TypeError(f"{name} is {value!r:.40}")
        return totals
    except (KeyError, TypeError) as error:
        raise JudgeError(f"{path} is no account of a judge's requests ({error}): move it away") from None
