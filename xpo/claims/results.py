"""What was measured, kept beside the table that shows it: a claim can be measured again alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpo.claims.claim import Claim
from xpo.claims.measure import Outcome, Variant

Results = dict[str, dict[str, Any]]
"""By the claim's name: the commit, the command, and every run's checked metrics."""


def read_results(path: Path) -> Results:
    """All stored results; none if there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_results(path: Path, results: Results) -> None:
    text = json.dumps(results, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def packed(claim: Claim, outcomes: Sequence[Outcome], commit: str) -> dict[str, Any]:
    """One claim's outcomes for the file: nothing but the metrics that it checks."""
    wanted = {check.metric for check in claim.checks}
    wanted |= {check.bound for check in claim.checks if isinstance(check.bound, str)}
    runs = [
        {
            "seed": outcome.variant.seed,
            "world": outcome.variant.world,
            "metrics": _only(outcome.metrics, wanted),
            "other": None if outcome.other is None else _only(outcome.other, wanted),
        }
        for outcome in outcomes
    ]
    return {"commit": commit, "run": list(claim.run), "runs": runs}


def unpacked(claim: Claim, entry: Mapping[str, Any]) -> list[Outcome] | None:
    """The outcomes of a stored entry; None if the claim's command is another one by now."""
    if entry["run"] != list(claim.run):
        return None
    return [
        Outcome(Variant(run["seed"], run["world"]), run["metrics"], run["other"]) for run in entry["runs"]
    ]


def _only(metrics: Mapping[str, float], wanted: set[str]) -> dict[str, float]:
    return {name: metrics[name] for name in sorted(wanted) if name in metrics}
