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


def _sums(beta: float) -> Callable[[Seen], Sequence[float]]:
    return lambda seen: [beta * value for value in seen.sums]


def _means(beta: float) -> Callable[[Seen], Sequence[float]]:
    return lambda seen: [beta * value for value in seen.means]


def _alphapo(seen: Seen) -> list[float]:
    return [2.5 * (1 - math.exp(-0.25 * mean)) / 0.25 for mean in seen.means]


def _odds(seen: Seen) -> list[float]:
    return [mean - math.log(1 - math.exp(mean)) for mean in seen.means]


def _odpo(seen: Seen) -> float:
    s = seen.row.scores
    assert s is not None
    return sum(mass * softplus(math.log(s[i] - s[j])) for mass, i, j in pairs(seen.row))


def _likelihood(seen: Sequence[Seen], prompts: bool) -> float:
    """Of the demonstrations, averaged over the tokens of the batch."""
    total = sum(sum(s.responses[0]) + prompts * sum(s.prompt) for s in seen)
    return -total / sum(len(s.responses[0]) + prompts * len(s.prompt) for s in seen)


def _best(seen: Seen) -> float:
    """Minus the summed log-likelihood of the first response, which is the best."""
    return -seen.sums[0]


def both(first: Value, second: Value, weight: float) -> Value:
    return lambda seen: first(seen) + weight * second(seen)


def _tokens(seen: Sequence[Seen]) -> float:
    return _likelihood(seen, prompts=False)


def _prompt_too(seen: Sequence[Seen]) -> float:
    return _likelihood(seen, prompts=True)


def _pro(seen: Seen) -> float:
    p, s = seen.means, seen.row.scores
    assert s is not None
    value = -0.05 * (len(p) - 1) ** 2 * seen.sums[0]
    for k in range(len(p) - 1):
        gaps = {j: s[k] - s[j] for j in range(k + 1, len(p))}
        own = math.exp(p[k] * max(gaps.values()))
        value -= math.log(own / (own + sum(math.exp(p[j] * gap) for j, gap in gaps.items())))
    return value


LOG2 = math.log(2)
FIRST: dict[str, Value] = {
    # gaps of log-ratios, all 0
    "dpo": always(LOG2),
    "f_dpo": always(LOG2),
    "chi_po": always(LOG2),
    "cdpo": always(LOG2),
    "robust_dpo": always(LOG2),
    "dpop": always(LOG2),
    "ld_dpo": always(LOG2),
    "sdpo": always(LOG2),
    "tr_dpo": always(LOG2),
    "tr_dpo_hard": always(LOG2),
    "step_dpo": always(LOG2),
    "spin_step": always(LOG2),
    "gpo": always(1.0),
    "ipo": always(25.0),
    "r_dpo": logistic(lambda seen: [0.01 * len(tokens) for tokens in seen.responses]),
    "odpo": each(_odpo),
    # single responses, log-ratio 0
    "kto": always(0.5),
    # without a reference
    "sft": _tokens,
    "simpo": logistic(_means(2.0), margin=1.0),
    "alphapo": logistic(_alphapo, margin=0.1),
    "cpo": both(logistic(_sums(0.1)), each(_best), 1.0),
    "cpo_simpo": both(logistic(_means(10.0), margin=5.4), _tokens, 0.05),
    "slic_hf": both(compared(lambda gap: max(0.0, 1.0 - gap), _sums(1.0)), each(_best), 0.1),
    "orpo": lambda seen: 0.1 * logistic(_odds)(seen) + _prompt_too(seen),
    "pro": each(_pro),
}
