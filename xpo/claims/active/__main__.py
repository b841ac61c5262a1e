"""Labels that are chosen against as many that are drawn, round by round, in three gold worlds.

    python -m xpo.claims.active [NAME ...] [--seeds N] [--worlds W ...] [--out DIR] [--steps N]

Writes docs/active.json and .svg, and the measured section of docs/active.md; exits with 1 unless every
claimed choice needs fewer labels than the draw in at least two worlds.
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

from xpo.claims.active.page import Found, drawn, holds, section
from xpo.claims.curves import insert
from xpo.claims.measure import WORLDS, Variant, run_here
from xpo.run.files import write_json, write_text

DOCS = Path(__file__).resolve().parents[3] / "docs"
CASES: tuple[dict[str, Any], ...] = tuple(
    yaml.safe_load((Path(__file__).parent / "runs.yaml").read_text(encoding="utf-8"))
)


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    chosen = [case for case in CASES if not options.names or case["name"] in options.names]
    now = {case["name"]: {str(w): _world(case, w, options) for w in options.worlds} for case in chosen}
    path = DOCS / "active.json"
    before: dict[str, Found] = json.loads(path.read_text()) if path.is_file() else {}
    found = {**before, **now} if options.steps is None else now
    known = [case for case in CASES if case["name"] in found]
    text = section(known, found)
    print(text)
    if options.steps is None:
        write_json(path, found)
        write_text(DOCS / "active.svg", drawn(known, found))
        insert(DOCS / "active.md", "label_curves", text)
    return int(not all(holds(case, now[case["name"]]) for case in chosen))


def _world(
    case: Mapping[str, Any], world: int, options: argparse.Namespace
) -> dict[str, dict[str, list[list[float]]]]:
    """By choice and metric, each seed's values after each round."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    seeds = min(options.seeds, case.get("seeds", options.seeds))
    for query in case["queries"]:
        runs = [_rounds(case, query, (world, seed), options) for seed in range(seeds)]
        found[query] = {name: [[after[name] for after in run] for run in runs] for name in case["metrics"]}
    return found


def _rounds(
    case: Mapping[str, Any], query: str, at: tuple[int, int], options: argparse.Namespace
) -> list[dict[str, float]]:
    """The metrics after each round of one run, ``at`` a world and a seed."""
    world, seed = at
    folder = options.out / f"{case['name']}-{query.replace(' ', '_')}-{world}-{seed}"
    given = [*case["run"], *case["queries"][query], f"seed={seed}", f"data.seed={world}"]
    given += [f"query.budget={case['budget']}", f"schedule.rounds={case['rounds']}"]
    given += ["logger=none", "eval.samples=0", f"cache={options.out / 'cache'}"]
    if options.steps is not None:
        given += [f"trainer.steps={options.steps}", f"hp.sft.separate.steps={options.steps}"]
    run_here(f"{case['name']} {query}", given, folder)
    print(f"{case['name']} {query}: world {world}, seed {seed}", file=sys.stderr, flush=True)
    return json.loads((folder / "checkpoints" / "rounds.json").read_text(encoding="utf-8"))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims.active")
    parser.add_argument("names", nargs="*", help="of runs.yaml; none: all")
    parser.add_argument("--seeds", type=int, default=8, help="seeds 0, 1, ... of each run")
    worlds = [Variant(0).world, *WORLDS]
    parser.add_argument("--worlds", type=int, nargs="+", default=worlds, help="data.seed of the worlds")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each round: a dry run, nothing is written"
    )
    default = Path("outputs") / "label_curves" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs; finished ones stay")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
