"""The claims of this folder's yaml file, and their judgement over finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xpo.claims.real_data.rewards import Beside, accuracy
from xpo.claims.real_data.statistics import Interval, accuracy_of_seeds, bootstrap_of_ratio, paired_bootstrap


@dataclass(frozen=True)
class Claim:
    """Overrides of ``python -m xpo``, the files that they are run on, and what must hold for ``metric``.

    ``against`` are the overrides of the run that ``ranks_better`` compares with; ``{against}`` in ``run`` is
    its folder. ``tie``: responses whose scores differ by less are not compared. ``rewards``: the run trains a
    reward model, which is asked about held-out lists, and longer-is-better is what it is compared with.
    """

    name: str
    says: str
    data: str
    run: tuple[str, ...]
    rule: str
    metric: str
    against: tuple[str, ...] | None = None
    tie: float = 0.0
    rewards: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"claim {self.name}: unknown rule {self.rule!r}; there are {', '.join(RULES)}")


@dataclass(frozen=True)
class Seed:
    """What one seed's run left: its final metrics, and how many held-out rows they are means over.

    ``gains``: for each held-out list the accuracy of its ranking minus that of the other run's;
    ``all_gains``: the same with the claim's ties compared too. ``beside``: of a reward model, its pairs.
    """

    metrics: Mapping[str, float]
    rows: int
    gains: Sequence[float] = ()
    all_gains: Sequence[float] = ()
    beside: Sequence[Beside] = ()


@dataclass(frozen=True)
class Verdict:
    """The numbers of a claim in words, and whether it holds."""

    measured: str
    condition: str
    holds: bool


def load_claims() -> list[Claim]:
    """All claims, in the order of the file."""
    entries = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
    return [_claim(entry) for entry in entries]


def _claim(entry: dict[str, Any]) -> Claim:
    lists = {key: tuple(entry[key]) for key in ("run", "against") if key in entry}
    return Claim(**{**entry, **lists})


def judge(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    """The verdict over all seeds of a claim."""
    return RULES[claim.rule](claim, seeds)


def _above_chance(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    found = accuracy_of_seeds(
        [seed.metrics[claim.metric] for seed in seeds], min(seed.rows for seed in seeds)
    )
    text = f"{found.mean:.3f}, standard error {found.error:.3f}"
    return Verdict(text, "0.5 + 2 standard errors at least", found.above(0.5))


def _ranks_better(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    """Must hold with close scores as ties, where the judge is sure, and with every difference compared."""
    found = [_gain([seed.gains for seed in seeds])]
    text = _gain_text(found[0])
    if claim.tie:
        found.append(_gain([seed.all_gains for seed in seeds]))
        text += f"; with scores closer than {claim.tie:g} compared too: {_gain_text(found[1])}"
    return Verdict(text, "interval above 0", all(gain.low > 0 for gain in found))


def _beats_length(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    """Over all pairs; prompts are resampled, with the seeds' mean of each."""
    lists = list(zip(*(seed.beside for seed in seeds), strict=True))
    gains = [sum(one.right - one.by_length for one in of_seeds) / len(seeds) for of_seeds in lists]
    gain, p = bootstrap_of_ratio(gains, [of_seeds[0].pairs for of_seeds in lists])
    own = sum(accuracy(seed.beside) for seed in seeds) / len(seeds)
    text = f"accuracy {own:.3f}, length alone {own - gain.mean:.3f}; {_gain_text(gain)}, p = {p:.3f}"
    return Verdict(text, "better by a paired bootstrap over prompts, one-sided p below 0.05", p < 0.05)


def _gain(gains: Sequence[Sequence[float]]) -> Interval:
    """The gain of each list is averaged over the seeds first: the lists are what is resampled."""
    return paired_bootstrap([sum(values) / len(gains) for values in zip(*gains, strict=True)])


def _gain_text(found: Interval) -> str:
    return f"gain {found.mean:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})"


def _runs(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    return Verdict(f"{sum(s.metrics[claim.metric] for s in seeds) / len(seeds):.3f}", "runs to its end", True)


RULES: Mapping[str, Callable[[Claim, Sequence[Seed]], Verdict]] = {
    "above_chance": _above_chance,
    "ranks_better": _ranks_better,
    "beats_length": _beats_length,
    "runs": _runs,
}
