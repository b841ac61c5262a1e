"""What five seeds of self-rewarding rounds come to: means, intervals, and what must hold of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from xpo.claims.table import T_95

Found = dict[str, list[dict[str, list[float]]]]
"""By variant and seed: each number before the first round and after each."""

SAYS = {
    "taught": "fine-tuned on gold scores",
    "shuffled": "the same scores, dealt out at random",
}
NUMBERS = {
    "reward": "gold reward, prompts that rounds answer",
    "reward, held out": "gold reward, other wordings",
    "judging": "judgement and gold, Spearman",
    "formed": "answers of the world's language",
}


def estimate(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half of its 95 % interval (Student's t); NaN for one value."""
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return mean, math.nan
    return mean, T_95[n - 1] * math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def gains(runs: Sequence[Mapping[str, Sequence[float]]], number: str) -> list[float]:
    """Of each seed, from before the first round to after the last."""
    return [run[number][-1] - run[number][0] for run in runs]


def broken(found: Found) -> list[str]:
    """What does not hold of what must.

    Taught, the mean gold reward rises in every round, and the interval of its gain lies above 0; with
    shuffled scores the interval does not, and the gain is less than a quarter of that.
    """
    taught, shuffled = found["taught"], found["shuffled"]
    means = [sum(values) / len(values) for values in zip(*(run["reward"] for run in taught), strict=True)]
    gain, half = estimate(gains(taught, "reward"))
    other, other_half = estimate(gains(shuffled, "reward"))
    checks = {
        "the mean reward rises in every round": all(a < b for a, b in zip(means, means[1:], strict=False)),
        "the interval of the gain lies above 0": gain - half > 0,
        "with shuffled scores it does not": not other - other_half > 0,
        "with shuffled scores the gain is less than a quarter": other < gain / 4,
    }
    return [what for what, holds in checks.items() if not holds]


def page(found: Found) -> str:
    """Markdown: the table, and whether what must hold does."""
    wrong = broken(found)
    verdict = f"Does not hold: {'; '.join(wrong)}." if wrong else "All that must hold does."
    return f"{table(found)}\n\n{verdict}"


def table(found: Found) -> str:
    """A line for each number of each variant."""
    rounds = len(next(iter(found.values()))[0]["reward"]) - 1
    numbered = (f"round {n + 1}" for n in range(rounds))
    lines = [f"| {' | '.join(['judge', 'number', 'before', *numbered, 'gain', 'seeds'])} |"]
    lines.append("|---" * (rounds + 5) + "|")
    for variant, runs in found.items():
        for number, says in NUMBERS.items():
            cells = [_told(values) for values in zip(*(run[number] for run in runs), strict=True)]
            cells.append(_told(gains(runs, number), signed=True))
            lines.append(f"| {SAYS[variant]} | {says} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines)


def _told(values: Sequence[float], signed: bool = False) -> str:
    mean, half = estimate(values)
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return text if math.isnan(half) else f"{text} ± {half:.3f}"
