"""Claims, read from the yaml files of this folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Rule = Literal["at_least", "at_most", "below", "equals", "less"]
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """One number that a claim is about, and what must hold for it in every run.

    ``rule``: ``at_least`` or ``at_most`` the number ``bound``; ``below`` the run's own metric ``bound``;
    ``equals`` the same metric of the claim's other run within ``bound``, ``less`` below it by at least that;
    None only shows the number.
    """

    metric: str
    rule: Rule | None = None
    bound: float | str = 0.0

    def holds(self, metrics: Metrics, other: Metrics | None = None) -> bool:
        """Whether one run fulfils it (NaN never does); ``KeyError`` if the run lacks the metric."""
        value = metrics[self.metric]
        if self.rule is None:
            return True
        if self.rule == "equals":
            assert other is not None
            return abs(value - other[self.metric]) <= float(self.bound)
        if self.rule == "less":
            assert other is not None
            return value <= other[self.metric] - float(self.bound)
        limit = metrics[self.bound] if isinstance(self.bound, str) else self.bound
        return value >= limit if self.rule == "at_least" else value <= limit

    def text(self) -> str:
        """The condition in words, for a table."""
        words = {
            "at_least": "at least",
            "at_most": "at most",
            "below": "below",
            "equals": "equal within",
            "less": "less by",
            None: "",
        }
        return f"{words[self.rule]} {self.bound}".strip() if self.rule else "shown"


@dataclass(frozen=True)
class Claim:
    """A command, what must hold after it, and the mutant under which it must not.

    ``run`` are overrides of ``python -m xpo``; ``against`` those of a second run, for ``equals``. ``mutant``
    is a name of ``xpo.claims.mutants``; None for a claim that only shows numbers. ``headline``: the README
    shows it. ``late``: numbers are means over the evaluations of the last tenth of the steps.
    """

    name: str
    says: str
    run: tuple[str, ...]
    checks: tuple[Check, ...]
    mutant: str | None = None
    against: tuple[str, ...] | None = None
    headline: bool = False
    late: bool = False

    @property
    def can_fail(self) -> bool:
        """False if it only shows numbers."""
        return self.mutant is not None

    def __post_init__(self) -> None:
        ruled = [check for check in self.checks if check.rule is not None]
        if bool(ruled) != (self.mutant is not None):
            raise ValueError(
                f"claim {self.name}: exactly the claims that can fail name a mutant that fails them"
            )
        if any(check.rule in ("equals", "less") for check in ruled) != (self.against is not None):
            raise ValueError(f"claim {self.name}: 'equals' compares with the run that 'against' names")


def load_claims(path: Path) -> list[Claim]:
    """The claims of one file; ``ValueError`` names the claim and the key at fault."""
    return [_claim(path, entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def all_claims() -> list[Claim]:
    """The claims of all files of this folder, in the order of their names."""
    return [claim for path in sorted(Path(__file__).parent.glob("*.yaml")) for claim in load_claims(path)]


def shares() -> list[Claim]:
    """For every preset whose optimum is not known: the share of the reward that it earns as it is."""
    from xpo.compose import build, presets
    from xpo.compose.assembled import assembled
    from xpo.explain.notes import optimum_is_known

    share = (Check("gold/reward_share"),)
    composed = {name: build(assembled([f"algo={name}"])) for name in presets()}
    policies = {name: c for name, c in composed.items() if not c.reward.trains_head}  # a score earns nothing
    open_ends = [name for name, c in policies.items() if not optimum_is_known(c)]
    return [Claim(f"share_{name}", f"{name} as it is", (f"algo={name}",), share) for name in open_ends]


def _claim(path: Path, entry: dict[str, Any]) -> Claim:
    known = {field.name for field in dataclasses.fields(Claim)}
    if unknown := sorted(entry.keys() - known):
        raise ValueError(f"{path.name}: claim {entry.get('name')}: unknown key {unknown[0]!r}")
    values = {**entry, "run": tuple(entry["run"]), "checks": tuple(map(_check, entry["checks"]))}
    if entry.get("against") is not None:
        values["against"] = tuple(entry["against"])
    return Claim(**values)


def _check(entry: dict[str, Any]) -> Check:
    (metric, *rules) = (entry["metric"], *(key for key in entry if key != "metric"))
    if not rules:
        return Check(metric)
    (rule,) = rules
    if rule not in ("at_least", "at_most", "below", "equals", "less"):
        raise ValueError(f"check of {metric}: unknown rule {rule!r}")
    return Check(metric, rule, entry[rule])
