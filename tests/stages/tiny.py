"""The smallest real runs: a few lists of words, a model of some thousand weights, the whole command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from xpo.compose import build, compose_config
from xpo.stages.job import execute

ROOT = Path(__file__).resolve().parents[2]
WORDS = "red green blue small large round flat warm cold old new".split()

# a large eps and no clipping: Adam alone would hide a factor on all gradients and blow up last bits
SIZES = (
    "data=jsonl",
    "data.test_fraction=0.25",
    "data.min_prompt=2",
    "data.min_response=2",
    "model=scratch",
    "model.hidden=16",
    "model.layers=1",
    "model.heads=2",
    "model.vocab_size=290",
    "model.max_length=64",
    "optimizer.lr=0.5",
    "optimizer.eps=1.0",
    "trainer.clip_grad_norm=null",
    "trainer.batch_size=8",
    "trainer.log_every=1",
    "trainer.accelerator=cpu",
    "eval.samples=1",
    "eval.max_new_tokens=3",
)
STAGE = ("sft.steps=2", "sft.batch_size=8")
"""For presets with a separate SFT stage."""


def write_lists(path: Path, count: int = 32, labels: bool = False) -> Path:
    """Prompts with three answers of unlike length and their scores; ``labels``: each is good or bad, too."""
    rows = []
    for i in range(count):
        answers = [
            " ".join(WORDS[(i * 3 + k * 5 + t) % 11] for t in range(1 + (i + 2 * k) % 5)) for k in range(3)
        ]
        prompt = f"Say {' and '.join(WORDS[(i + j) % 11] for j in range(1 + i % 3))} {i}:"
        scores, wins = [0.9, 0.4 + i / 100, 0.1], [[0.5, 0.8, 0.9], [0.2, 0.5, 0.7], [0.1, 0.3, 0.5]]
        rows.append({"prompt": prompt, "completions": answers, "scores": scores, "wins": wins})
        rows[-1]["spans"] = [{"type": "wrong", "start": 0, "end": 3}] if i % 2 else []
        if labels:
            rows[-1]["labels"] = [True, i % 2 == 0, False]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_steps(path: Path, count: int = 32) -> Path:
    """Solutions of one to four steps, each of them right or wrong."""
    rows = []
    for i in range(count):
        steps = [
            " ".join(WORDS[(i * 3 + j * 5 + t) % 11] for t in range(1 + j % 3)) for j in range(1 + i % 4)
        ]
        labels = [(i + j) % 3 != 0 for j in range(len(steps))]
        rows.append({"prompt": f"Say {WORDS[i % 11]} {i}:", "completions": steps, "labels": labels})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def learns_steps(parts: Any) -> bool:
    """Whether it takes labels of steps, and no comparisons of whole responses."""
    level, needs = parts.reward_level, parts.objective.needs
    by_step = parts.reward.trains_head and not level.ends and not level.by_spans
    return by_step and "labels" in needs and "comparisons" not in needs


def run_here(out: Path, *overrides: str) -> dict[str, float]:
    """A run in this process, as the command line composes it; the final metrics."""
    return execute(build(compose_config(list(overrides))), out)


def command(*arguments: str) -> list[str]:
    """The real command."""
    return [sys.executable, "-m", "xpo", *arguments]


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, from the project's folder."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300
    )


def stop_at_checkpoint(folder: Path, *arguments: str) -> tuple[int, str]:
    """The real command, sent SIGTERM once a checkpoint lies in ``folder``; its exit code and output."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 240
    while process.poll() is None and not list(folder.glob("*.ckpt")):
        assert time.monotonic() < end, f"no checkpoint appeared in {folder}"
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    return process.returncode, printed


def environment() -> dict[str, str]:
    """One thread per process: runs side by side share few cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def weights(folder: Path) -> dict[str, Any]:
    """The exported weights of a run."""
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


def summary(folder: Path) -> dict[str, Any]:
    """A run's ``summary.json``."""
    return json.loads((folder / "summary.json").read_text())
