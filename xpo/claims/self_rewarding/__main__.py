"""Self-rewarding rounds of policies that were taught to judge on gold scores, and of others, over seeds.

    python -m xpo.claims.self_rewarding [--seeds N] [--out DIR] [--steps N]

Each seed has a gold world of its own, written as texts. A seed whose numbers lie in DIR is not run again.
Writes docs/self_rewarding.json and the tables of docs/self_rewarding.md; exits with 1 where something does
not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from xpo.annotator.self import SelfRewarding
from xpo.claims.curves import insert
from xpo.claims.measure import metrics_of
from xpo.claims.self_rewarding.lessons import Lessons
from xpo.claims.self_rewarding.measured import Measured, load, measured
from xpo.claims.self_rewarding.page import Found, broken, page, table
from xpo.gold.world import World
from xpo.run.files import read_json, write_json

DOCS = Path(__file__).resolve().parents[3] / "docs"
RUNS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "runs.yaml").read_text())
VARIANTS = {"taught": False, "shuffled": True}
"""Whether a prompt's points are dealt out to its responses at random."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    torch.set_num_threads(1)
    found: Found = {name: [] for name in VARIANTS}
    for name, shuffled in VARIANTS.items():
        for seed in range(options.seeds):
            world = World(prompts=options.prompts, max_symbols=options.symbols, seed=seed)
            folder = options.out / f"{name}-{seed}"
            found[name].append(_of(Lessons(world, seed, shuffled=shuffled), folder, options))
            print(f"{name}: seed {seed}: {found[name][-1]}", file=sys.stderr, flush=True)
    if options.steps is not None:
        print(table(found))
        return 0
    text = page(found)
    print(text)
    write_json(DOCS / "self_rewarding.json", found)
    insert(DOCS / "self_rewarding.md", "judges_itself", text)
    return int(bool(broken(found)))


def _of(lessons: Lessons, folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """One seed's numbers, before the first round and after each."""
    path = folder / "measured.json"
    if not path.is_file():
        lessons.write(folder)
        _run(folder, "lessons", lessons, options)
        _run(folder, "rounds", lessons, options)
        write_json(path, _series(lessons, folder, options.held))
    return read_json(path)


def _run(folder: Path, name: str, lessons: Lessons, options: argparse.Namespace) -> None:
    judged = [f"annotator.{key}={value}" for key, value in RUNS["judge"].items()]
    files = {
        "lessons": [f"data.path={folder / 'lessons.jsonl'}", "eval.rows=16"],
        "rounds": [
            *judged,
            f"annotator.template={folder / 'template.yaml'}",
            f"data.path={folder / 'prompts.jsonl'}",
            f"data.test_path={folder / 'held_out.jsonl'}",
            f"model.path={folder / 'lessons' / 'model'}",
        ],
    }
    given = [*RUNS[name], "data=jsonl", "data.min_prompt=2", "data.min_response=2", *files[name]]
    given += ["trainer.threads=1", f"seed={lessons.seed}", "logger=none", f"cache={folder / 'cache'}"]
    steps = options.lessons if name == "lessons" else options.steps
    if steps is not None:
        given.append(f"trainer.steps={steps}")
    out = folder / name
    metrics_of(name, [sys.executable, "-m", "xpo", *given, f"hydra.run.dir={out}"], out)


def _series(lessons: Lessons, folder: Path, held: int) -> dict[str, list[float]]:
    judge = SelfRewarding(**RUNS["judge"], template=str(folder / "template.yaml"))
    model, rounds = folder / "rounds" / "model", folder / "rounds" / "checkpoints"
    policies = [
        (folder / "lessons" / "model", None),
        *((model, path) for path in sorted(rounds.glob("round-*.pt"))),
        (model, None),
    ]
    return series([measured(load(*policy), lessons, judge, held) for policy in policies], lessons.held_out_Q)


def series(found: Sequence[Measured], held_out_Q: Sequence[bool]) -> dict[str, list[float]]:
    """Means over the prompts that rounds answer and over the others, and what else was measured."""
    held_Q = torch.tensor(held_out_Q)
    return {
        "reward": [float(one.reward_Q[~held_Q].mean()) for one in found],
        "reward, held out": [float(one.reward_Q[held_Q].mean()) for one in found],
        "judging": [one.judging for one in found],
        "formed": [one.formed for one in found],
    }


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims.self_rewarding")
    parser.add_argument(
        "--seeds", type=int, default=5, choices=range(1, 6), help="0, 1, ... of world and runs"
    )
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of all rounds: a dry run, nothing is written"
    )
    parser.add_argument("--lessons", type=int, help="optimizer steps of the fine-tuning")
    parser.add_argument("--prompts", type=int, default=8, help="of the world")
    parser.add_argument("--symbols", type=int, default=3, help="of a response at most")
    parser.add_argument("--held", type=int, default=32, help="held-out responses of a prompt that are judged")
    default = Path("outputs") / "judges_itself" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
