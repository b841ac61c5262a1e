"""Accuracy of reward models against the number of training prompts, on real preference data.

    python -m xpo.claims.learning_curve DATA [--seeds N] [--out DIR] [--steps N]

DATA is the folder of the files that the experiments name. Runs are those of ``xpo.claims.real_data`` with
fewer rows; the test files are whole. Writes docs/learning_curve.json and .svg, and the section of
docs/reward_models.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xpo.claims.curves import Curve, insert, svg
from xpo.claims.measure import metrics_of
from xpo.claims.real_data.rewards import accuracy, beside_length, held_out_records, rewards
from xpo.run.files import write_json, write_text

DOCS = Path(__file__).resolve().parents[3] / "docs"


@dataclass(frozen=True)
class Line:
    """One data set: the experiment, what its files are called, training sizes, and what counts as a tie."""

    name: str
    experiment: str
    data: str
    sizes: tuple[int, ...]
    tie: float = 0.0


LINES = (
    Line("judged lists (alpaca_judged)", "alpaca_reward", "alpaca_judged", (25, 50, 100, 200, 400), 0.2),
    Line("human pairs (hh_harmless)", "hh_reward", "hh_harmless", (112, 225, 450, 900, 1800)),
)


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    found = {line.data: [_accuracies(line, size, options) for size in line.sizes] for line in LINES}
    text = section(found, options.seeds)
    print(text)
    if options.steps is None:
        facts = {line.data: {"sizes": line.sizes, "accuracies": found[line.data]} for line in LINES}
        write_json(DOCS / "learning_curve.json", facts)
        write_text(DOCS / "learning_curve.svg", drawn(found))
        insert(DOCS / "reward_models.md", "learning_curve", text)
    return 0


def _accuracies(line: Line, size: int, options: argparse.Namespace) -> list[float]:
    """Of every seed, over all held-out pairs."""
    return [_accuracy(line, size, seed, options) for seed in range(options.seeds)]


def _accuracy(line: Line, size: int, seed: int, options: argparse.Namespace) -> float:
    folder = options.out / f"{line.data}-{size}-{seed}"
    files = [
        f"data.{key}={options.data.resolve() / line.data}.{split}.jsonl.gz"
        for key, split in (("path", "train"), ("test_path", "test"))
    ]
    run = [f"experiment={line.experiment}", *files, f"data.limit={size}", f"data.shuffle_seed={seed}"]
    run += [f"seed={seed}", f"cache={options.out / 'cache'}", f"hydra.run.dir={folder}", "logger=none"]
    if options.steps is not None:
        run += [f"trainer.steps={options.steps}", f"++hp.sft.separate.steps={options.steps}", "eval.rows=8"]
    metrics_of(line.data, [sys.executable, "-m", "xpo", *run], folder)
    records = held_out_records(folder)
    found = accuracy(beside_length(rewards(folder / "model", records), records, line.tie))
    print(f"{line.data}: {size} prompts, seed {seed}: {found:.3f}", flush=True)
    return found


def section(found: dict[str, list[list[float]]], seeds: int) -> str:
    """Markdown: a table for each data set."""
    parts = [
        "The experiments `alpaca_reward` and `hh_reward` with part of their training prompts, drawn by the "
        f"seed; the accuracy on held-out prompts, mean (least to most) over {seeds} seeds. Pairs of judged "
        "answers count where the judge's scores differ by 0.2 or more.",
        "![accuracy against training size](learning_curve.svg)",
    ]
    for line in LINES:
        cells = [f"{sum(a) / len(a):.3f} ({min(a):.3f} to {max(a):.3f})" for a in found[line.data]]
        head = f"| {line.name}: training prompts | {' | '.join(map(str, line.sizes))} |"
        parts.append(
            "\n".join([head, "|---" * (len(cells) + 1) + "|", f"| accuracy | {' | '.join(cells)} |"])
        )
    return "\n\n".join([*parts, "Written by `python -m xpo.claims.learning_curve DATA`."])


def drawn(found: dict[str, list[list[float]]]) -> str:
    """Both curves over the share of the training prompts."""
    curves = [
        Curve(
            line.name,
            [size / line.sizes[-1] for size in line.sizes],
            [sum(values) / len(values) for values in found[line.data]],
        )
        for line in LINES
    ]
    title = "Reward models with more training prompts"
    return svg(title, "share of the training prompts", "accuracy on held-out prompts", curves)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims.learning_curve")
    parser.add_argument("data", type=Path, help="folder of the data files")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each run")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each stage: a dry run, nothing is written"
    )
    default = Path("outputs") / "learning_curve" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
