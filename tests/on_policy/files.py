"""The smallest runs that sample: a dozen prompts in a file, a rule that scores, a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.stages.tiny import SIZES, WORDS

RULE = ("annotator=rule", "annotator.rules=[{name: length, unit: characters}]")


def prompts(folder: Path, count: int = 12) -> Path:
    path = folder / "prompts.jsonl"
    rows = [{"prompt": f"{WORDS[i % 11]} {WORDS[(3 * i) % 11]} {i}:"} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def small(folder: Path, out: Path, *more: str) -> list[str]:
    sizes = ["trainer.batch_size=4", "trainer.steps=8", "trainer.threads=1", "sampling.max_new_tokens=5"]
    rollouts = ["schedule.epochs=2", "schedule.minibatches=2"]
    start = [f"data.path={prompts(folder)}", f"cache={out}-cache", "sft=none"]
    algo = (
        [] if any(item.startswith("algo=") for item in more) else ["algo=ppo", "reward.scale=10", *rollouts]
    )
    return [*algo, *RULE, *SIZES, *sizes, *start, *more]


def lines(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what the clock says."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "time" not in k and k != "rows_per_second"} for line in found]
