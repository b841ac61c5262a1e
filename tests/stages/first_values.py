"""What each preset's loss is before the first step, from its paper's equation in plain Python.

With policy = reference every log-ratio is 0 and the value is a number or a function of scores and lengths.
Without a reference it is a loop over the model's own log-probabilities. A value is that of a whole batch;
``each`` makes one from the value of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xpo.contracts import Row


@dataclass(frozen=True)
class Seen:
    """A row, and log p of its tokens by the model's own logits, the prompt's first one left out."""

    row: Row
    prompt: Sequence[float]
    responses: Sequence[Sequence[float]]
    spread: Sequence[Sequence[float]]  # log sum_v p_v^2 where each response token stands
    rival: Sequence[Sequence[float]]  # log p of the likeliest other token there
    vocabulary: int

    @property
    def sums(self) -> list[float]:
        return [sum(tokens) for tokens in self.responses]

    @property
    def means(self) -> list[float]:
        return [sum(tokens) / len(tokens) for tokens in self.responses]


Value = Callable[[Sequence[Seen]], float]


def each(value: Callable[[Seen], float]) -> Value:
    return lambda seen: sum(map(value, seen)) / len(seen)


def always(value: float) -> Value:
    return lambda seen: value


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def pairs(row: Row) -> list[tuple[float, int, int]]:
    """Mass, better one, worse one."""
    assert row.prefer is not None
    return [(mass, i, j) for i, line in enumerate(row.prefer) for j, mass in enumerate(line) if mass]


def compared(curve: Callable[[float], float], worth: Callable[[Seen], Sequence[float]]) -> Value:
    """The mean over rows and ordered pairs of a curve of how much more a response is worth than another."""

    def value(seen: Seen) -> float:
        r = worth(seen)
        return sum(mass * curve(r[i] - r[j]) for mass, i, j in pairs(seen.row))

    return each(value)


def logistic(worth: Callable[[Seen], Sequence[float]], margin: float = 0.0) -> Value:
    return compared(lambda gap: softplus(margin - gap), worth)


def sums(beta: float) -> Callable[[Seen], Sequence[float]]:
    return lambda seen: [beta * value for value in seen.sums]


def means(beta: float) -> Callable[[Seen], Sequence[float]]:
    return lambda seen: [beta * value for value in seen.means]


def alphapo(seen: Seen) -> list[float]:
    return [2.5 * (1 - math.exp(-0.25 * mean)) / 0.25 for mean in seen.means]


def odds(seen: Seen) -> list[float]:
    return [mean - math.log(1 - math.exp(mean)) for mean in seen.means]


def _likelihood(seen: Sequence[Seen], prompts: bool) -> float:
    """Of the demonstrations, averaged over the tokens of the batch."""
    total = sum(sum(s.responses[0]) + prompts * sum(s.prompt) for s in seen)
    return -total / sum(len(s.responses[0]) + prompts * len(s.prompt) for s in seen)


def best(seen: Seen) -> float:
    """Minus the summed log-likelihood of the first response, which is the best."""
    return -seen.sums[0]


def both(first: Value, second: Value, weight: float) -> Value:
    return lambda seen: first(seen) + weight * second(seen)


def tokens(seen: Sequence[Seen]) -> float:
    return _likelihood(seen, prompts=False)


def prompt_too(seen: Sequence[Seen]) -> float:
    return _likelihood(seen, prompts=True)
