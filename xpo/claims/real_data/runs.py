"""Runs of the claims about real data: the real command, one process each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpo.claims.measure import metrics_of
from xpo.claims.real_data.claim import Claim, Seed
from xpo.claims.real_data.exported import answer, gains, held_out_lists, mean_logps
from xpo.claims.real_data.rewards import beside_length, held_out_records, rewards

QUESTION = "\n\nHuman: What should I read?\n\nAssistant:"


@dataclass(frozen=True)
class Plan:
    """Where the data lie, where runs go, and which. ``steps`` cuts each stage short (dry run).

    ``mutant`` is a name of ``xpo.claims.mutants`` that is built into each run.
    """

    data: Path
    out: Path
    seeds: Sequence[int] = (0, 1, 2)
    steps: int | None = None
    mutant: str | None = None


def measure(claim: Claim, plan: Plan, report: Callable[[str], None] = print) -> list[Seed]:
    """Run a claim with every seed. ``RuntimeError`` with the end of its output for a run that fails."""
    return [_seed(claim, plan, seed, report) for seed in plan.seeds]


def _seed(claim: Claim, plan: Plan, seed: int, report: Callable[[str], None]) -> Seed:
    folder = plan.out / claim.name / f"seed_{seed}"
    other = folder.with_name(f"{folder.name}_against")
    if claim.against is not None:
        _run(claim, claim.against, plan, seed, other)
    metrics = _run(claim, [part.replace("{against}", str(other)) for part in claim.run], plan, seed, folder)
    report(f"{claim.name}: seed {seed}, {claim.metric} {metrics[claim.metric]:.4f}")
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sizes"]["test_rows"]
    if claim.rewards:
        records = held_out_records(folder)
        return Seed(
            metrics, rows, beside=beside_length(rewards(folder / "model", records), records, claim.tie)
        )
    answer(folder / "model", QUESTION)
    if claim.against is None:
        return Seed(metrics, rows)
    lists = held_out_lists(folder)
    values = mean_logps(folder / "model", lists), mean_logps(other / "model", lists)
    return Seed(metrics, rows, gains(*values, lists, claim.tie), gains(*values, lists))


def _run(claim: Claim, overrides: Sequence[str], plan: Plan, seed: int, folder: Path) -> dict[str, float]:
    program = ["xpo"] if plan.mutant is None else ["xpo.claims.mutants", plan.mutant]
    files = [f"data.{key}={plan.data / f'{claim.data}.{split}.jsonl.gz'}" for key, split in _FILES.items()]
    arguments = [sys.executable, "-m", *program, *overrides, *files, *_short(plan.steps)]
    arguments += [f"seed={seed}", f"cache={plan.out / 'cache'}", f"hydra.run.dir={folder}"]
    return metrics_of(claim.name, arguments, folder)


def _short(steps: int | None) -> tuple[str, ...]:
    """Overrides of a dry run: few steps, few rows."""
    if steps is None:
        return ()
    return (f"trainer.steps={steps}", f"++hp.sft.separate.steps={steps}", "data.limit=64", "eval.rows=16")


_FILES = {"path": "train", "test_path": "test"}
