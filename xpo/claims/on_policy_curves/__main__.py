"""Over-optimisation of a learnt reward at five betas, in the gold world.

    python -m xpo.claims.on_policy_curves [--seeds N] [--out DIR] [--steps N]

Writes docs/on_policy_curves.json, docs/over_optimisation.svg, and a section of docs/on_policy.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from xpo.claims.curves import Curve, insert, svg
from xpo.claims.measure import metrics_of
from xpo.run.files import write_json, write_text

DOCS = Path(__file__).resolve().parents[3] / "docs"
RUNS = yaml.safe_load((Path(__file__).parent / "runs.yaml").read_text(encoding="utf-8"))
BETAS: tuple[float, ...] = tuple(RUNS["betas"])

Line = list[tuple[int, float]]


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    seeds = range(options.seeds)
    learnt = {beta: [_learnt(beta, seed, options) for seed in seeds] for beta in BETAS}
    text = over_optimisation(learnt)
    print(text)
    if options.steps is None:
        write_json(DOCS / "on_policy_curves.json", {str(beta): learnt[beta] for beta in BETAS})
        write_text(DOCS / "over_optimisation.svg", drawn(learnt))
        insert(DOCS / "on_policy.md", "over_optimisation", text)
    return 0


def _run(name: str, overrides: Sequence[str], seed: int, options: argparse.Namespace) -> Path:
    folder = options.out / f"{name}-{seed}"
    given = [*overrides, "data=gold", f"seed={seed}", f"hydra.run.dir={folder}", "logger=none"]
    given.append(f"cache={options.out / 'cache'}")
    if options.steps is not None:
        given += [f"trainer.steps={options.steps}", f"hp.sft.separate.steps={options.steps}"]
    metrics_of(name, [sys.executable, "-m", "xpo", *given], folder)
    print(f"{name}: seed {seed}", flush=True)
    return folder


def _learnt(beta: float, seed: int, options: argparse.Namespace) -> dict[str, Line]:
    """The true reward and the learnt one's mean over rollouts, by step."""
    overrides = [*RUNS["learnt"], f"reward.beta={beta}"]
    folder = _run(f"beta-{beta}", overrides, seed, options)
    return {name: _series(folder, name) for name in ("gold/reward", "rollout/score")}


def _lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _series(folder: Path, name: str) -> Line:
    return [(line["step"], line[name]) for line in _lines(folder) if name in line]


def fall(run: dict[str, Line]) -> float:
    """How much of the peak's gain in true reward is lost at the end."""
    values = [value for _, value in run["gold/reward"]]
    gain = max(values) - values[0]
    return (max(values) - values[-1]) / gain if gain > 0 else 1.0


def rise(run: dict[str, Line]) -> float:
    """How much the learnt reward rises from where the true one peaks."""
    peak = max(run["gold/reward"], key=lambda point: point[1])[0]
    after = [value for step, value in run["rollout/score"] if step >= peak]
    return run["rollout/score"][-1][1] - after[0]


def over_optimisation(learnt: dict[float, list[dict[str, Line]]]) -> str:
    """Markdown: a line for each beta, means over seeds and the least and most."""
    head = ("beta", "true reward: peak", "at the end", "part of the gain lost", "learnt reward after it")
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---|---|"]
    for beta, runs in learnt.items():
        peaks = [max(value for _, value in run["gold/reward"]) for run in runs]
        ends = [run["gold/reward"][-1][1] for run in runs]
        cells = [_spread(peaks), _spread(ends), _spread([fall(r) for r in runs], "{:.0%}")]
        lines.append(f"| {beta:g} | {' | '.join(cells)} | {_spread([rise(r) for r in runs], '{:+.2f}')} |")
    about = (
        f"RLOO against a Bradley-Terry model that learnt from {RUNS['pairs']} pairs (`annotator=trained`), "
        f"{len(next(iter(learnt.values())))} seeds, mean (least to most); 300 steps, measured every 5."
    )
    return "\n".join([about, "", "![true and learnt reward](over_optimisation.svg)", "", *lines])


def drawn(learnt: dict[float, list[dict[str, Line]]]) -> str:
    """Both rewards over the steps for the smallest beta and the largest, means over seeds."""
    curves = []
    for beta in (BETAS[0], BETAS[-1]):
        for name, scale, label in (("gold/reward", 1.0, "true"), ("rollout/score", 0.2, "learnt / 5")):
            series = [run[name] for run in learnt[beta]]
            x = [step for step, _ in series[0]]
            y = [scale * sum(s[i][1] for s in series) / len(series) for i in range(len(x))]
            curves.append(Curve(f"{label}, beta {beta:g}", x, y))
    return svg("Over-optimisation of a learnt reward", "optimizer steps", "reward", curves, names=400.0)


def _spread(values: Sequence[float], form: str = "{:.3f}") -> str:
    mean = sum(values) / len(values)
    return f"{form.format(mean)} ({form.format(min(values))} to {form.format(max(values))})"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims.on_policy_curves")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of each run")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each run: a dry run, nothing is written"
    )
    default = Path("outputs") / "on_policy_curves" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
