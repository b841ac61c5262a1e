"""Where a reward model stops being right: the best of n in the gold world, judged by three.

    python -m xpo.claims.best_of_n [--seeds N] [--out DIR] [--steps N]

For each seed two reward models are trained on few comparisons each (run.yaml), drawn apart. The best of n
responses is chosen by the first and judged by itself, by the other and by the true reward; every response is
enumerated, so nothing is sampled. Writes docs/best_of_n.json and .svg, and docs/reward_models.md's section.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml
from torch import Tensor

from xpo.claims.curves import Curve, insert, svg
from xpo.compose import build, compose_config
from xpo.gold.verdicts import whole_lists
from xpo.gold.world import World
from xpo.reward_model import best_of_n
from xpo.reward_model.saved import load_reward
from xpo.run.files import write_json, write_text
from xpo.run.quiet import quiet_libraries
from xpo.stages.job import execute

DOCS = Path(__file__).resolve().parents[3] / "docs"
NUMBERS = (1, 2, 4, 8, 16, 32, 64)
OTHER = 100
"""What is added to the seed of a run to give that of its held-out model."""

RUN: list[str] = yaml.safe_load((Path(__file__).parent / "run.yaml").read_text(encoding="utf-8"))
JUDGES = {
    "ranking": "the reward model that ranks",
    "held_out": "another, of other comparisons",
    "gold": "the true reward",
}
TOLD = """
`python -m xpo {run} seed=0` and `seed={other}` train two reward models in the gold world on a few comparisons
each, drawn apart. The first chooses the best of n responses of the base policy; what is gained over one draw
is judged by itself, by the other and by the true reward, in nats of the log-odds of winning: exactly, since
every response is enumerated, as the mean over prompts and {seeds} such pairs. From n = {before} to {last}
the choice gets better by {ranking:.2f} in its own eyes, by {held_out:.2f} in the other's, by {gold:.2f} in
truth.
"""
Table = dict[str, list[float]]


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    quiet_libraries()
    runs = [measure(seed, options.out, options.steps) for seed in range(options.seeds)]
    table = {key: torch.tensor([run[key] for run in runs]).mean(0).tolist() for key in runs[0]}
    text = section(table, options.seeds)
    print(text)
    if options.steps is None:
        facts = {"run": RUN, "seeds": options.seeds, "n": NUMBERS, "mean": table, "runs": runs}
        write_json(DOCS / "best_of_n.json", facts)
        write_text(DOCS / "best_of_n.svg", svg(*drawn(table)))
        insert(DOCS / "reward_models.md", "best_of_n", text)
    return 0


def measure(seed: int, out: Path, steps: int | None) -> Table:
    """Train the two models of a seed, and judge the choices of the first."""
    world, score_XN = World(), {}
    for name, number in (("ranking", seed), ("held_out", seed + OTHER)):
        folder = out / f"{name}-{number}"
        overrides = [*RUN, f"seed={number}", "trainer.resume=never", "logger=none", f"cache={out / 'cache'}"]
        overrides += [] if steps is None else [f"trainer.steps={steps}", f"sft.steps={steps}"]
        execute(build(compose_config(overrides)), folder)
        said = load_reward(str(folder / "model")).opinions(whole_lists(world, range(world.size)))
        score_XN[name] = torch.stack([opinion.reward_BK for (opinion,) in said]).double()
    return judged(world, score_XN["ranking"], {**score_XN, "gold": world.reward_XN})


def judged(world: World, rank_XN: Tensor, judges: Mapping[str, Tensor]) -> Table:
    """Means over prompts, by n: KL to one draw, each judge's gain over it, and the largest (``best``)."""
    found: Table = {"kl": []} | {name: [] for name in (*judges, "best")}
    ranks = {name: (rank_XN, value_XN) for name, value_XN in judges.items()}
    ranks["best"] = (world.reward_XN, world.reward_XN)
    for n in NUMBERS:
        for name, (score_XN, value_XN) in ranks.items():
            gains = [
                best_of_n.exact(n, s, v, p) - float((p.exp() * v).sum())
                for s, v, p in zip(score_XN, value_XN, world.base_logp_XN, strict=True)
            ]
            found[name].append(sum(gains) / len(gains))
        apart = [best_of_n.exact_kl(n, s, p) for s, p in zip(rank_XN, world.base_logp_XN, strict=True)]
        found["kl"].append(sum(apart) / len(apart))
    return found


def section(table: Table, seeds: int) -> str:
    """Markdown."""
    names = {"kl": "KL to one draw, nats", **JUDGES, "best": "the true reward of the truly best"}
    rows = [f"| n | {' | '.join(names.values())} |", "|---" * (len(names) + 1) + "|"]
    for i, n in enumerate(NUMBERS):
        rows.append(f"| {n} | " + " | ".join(f"{round(table[key][i], 3) + 0:.3f}" for key in names) + " |")
    last, before = NUMBERS[-1], NUMBERS[-3]
    rises = {name: table[name][-1] - table[name][-3] for name in JUDGES}
    told = TOLD.format(run=" ".join(RUN), other=OTHER, seeds=seeds, before=before, last=last, **rises)
    made = "Written by `python -m xpo.claims.best_of_n`."
    wrapped = "\n".join(textwrap.wrap(" ".join(told.split()), 118, break_on_hyphens=False))
    return "\n\n".join([wrapped, "![the best of n](best_of_n.svg)", "\n".join(rows), made])


def drawn(table: Table) -> tuple[str, str, str, list[Curve]]:
    """Title, axes and curves of the picture: gains over KL, as in Gao et al. 2022, arXiv 2210.10760."""
    curves = [Curve(text, table["kl"], table[name]) for name, text in JUDGES.items()]
    return "The best of n = 1 to 64, chosen by a reward model", "KL to one draw, nats", "gain, nats", curves


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m xpo.claims.best_of_n", description="the best of n by reward models"
    )
    parser.add_argument("--seeds", type=int, default=3, help="pairs of reward models")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each run: a dry run, nothing is written"
    )
    default = Path("outputs") / "best_of_n" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument("--out", type=Path, default=default, help="folder of the runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
