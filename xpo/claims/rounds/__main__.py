"""Rounds and games in the gold world, round by round, over seeds.

    python -m xpo.claims.rounds [NAME ...] [--seeds N] [--out DIR] [--steps N]

Writes docs/rounds.json and the table of docs/rounds.md; exits with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from xpo.claims.curves import insert
from xpo.claims.measure import metrics_of
from xpo.run.files import write_json

DOCS = Path(__file__).resolve().parents[3] / "docs"
RUNS: tuple[dict[str, Any], ...] = tuple(yaml.safe_load((Path(__file__).parent / "runs.yaml").read_text()))

Series = list[float]
"""Before the first round (where that is known), and after each."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    chosen = [run for run in RUNS if not options.names or run["name"] in options.names]
    path = DOCS / "rounds.json"
    found: dict[str, dict[str, list[Series]]] = json.loads(path.read_text()) if path.is_file() else {}
    for run in chosen:
        measured = [_measured(run, seed, options) for seed in range(options.seeds)]
        found[run["name"]] = {name: [each[name] for each in measured] for name in run["numbers"]}
    known = [run for run in RUNS if run["name"] in found]
    text = table(known, found)
    print(text)
    if options.steps is None:
        write_json(path, found)
        insert(DOCS / "rounds.md", "rounds", text)
    return int(any(broken(run, found[run["name"]]) for run in chosen))


def _measured(run: Mapping[str, Any], seed: int, options: argparse.Namespace) -> dict[str, Series]:
    folder = options.out / f"{run['name']}-{seed}"
    given = [*run["run"], "data=gold", f"seed={seed}", f"hydra.run.dir={folder}", "logger=none"]
    given.append(f"cache={options.out / 'cache'}")
    if options.steps is not None:
        given += [f"trainer.steps={options.steps}", f"hp.sft.separate.steps={options.steps}"]
    metrics_of(run["name"], [sys.executable, "-m", "xpo", *given], folder)
    print(f"{run['name']}: seed {seed}", file=sys.stderr, flush=True)
    return {name: series(folder, name) for name in run["numbers"]}


def series(folder: Path, name: str) -> Series:
    """A metric before the first round and after each."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    first = [line[name] for line in lines if name in line and line["step"] == 0 and line["stage"] == "align"]
    rounds = json.loads((folder / "checkpoints" / "rounds.json").read_text())
    return [*first[:1], *(metrics[name] for metrics in rounds)]


def means(runs: Sequence[Series]) -> Series:
    """Over seeds."""
    return [sum(values) / len(values) for values in zip(*runs, strict=True)]


def broken(run: Mapping[str, Any], found: Mapping[str, Sequence[Series]]) -> list[str]:
    """Metrics of which what must hold does not, on average over seeds."""
    return [name for name, rule in run["must"].items() if not _holds(rule, means(found[name]))]


def _holds(rule: Any, mean: Series) -> bool:
    if isinstance(rule, str):
        steps = [after - before for before, after in zip(mean, mean[1:], strict=False)]
        return all(step > 0 for step in steps) if rule == "rises" else all(step < 0 for step in steps)
    kind, bound = rule
    return mean[-1] >= bound if kind == "at_least" else mean[-1] <= bound


def table(runs: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Sequence[Series]]]) -> str:
    """Markdown: a line for each metric of each run, means over seeds."""
    lines = [
        "| run | metric | before, then after each round | must | seeds | holds |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        for name in run["numbers"]:
            values, rule = found[run["name"]][name], run["must"].get(name)
            numbers = " ".join(f"{value:.3f}" for value in means(values))
            must = (
                "shown"
                if rule is None
                else rule
                if isinstance(rule, str)
                else f"{rule[0]} {rule[1]}".replace("_", " ")
            )
            holds = "" if rule is None else "no" if name in broken(run, found[run["name"]]) else "yes"
            who = f"`{run['name']}`: {run['says']}"
            lines.append(f"| {who} | `{name}` | {numbers} | {must} | {len(values)} | {holds} |")
    return "\n".join(lines)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims.rounds")
    parser.add_argument("names", nargs="*", help="of runs.yaml; none: all")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of each run")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each run: a dry run, nothing is written"
    )
    default = Path("outputs") / "rounds" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
