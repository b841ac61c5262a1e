"""DPO training steps of xpo against TRL's DPOTrainer: pairs per second and peak memory.

    python benchmarks/preference_step.py hh_harmless.train.jsonl.gz        (needs the extra: xpo[bench])

Both train the same weights (an 8-million-parameter Llama shape, vocabulary 8,000) on the same pairs, in
batches of 8, in fp32, with the reference computed at every step, without gradient checkpointing. Each runs
from a cold start in a process of its own. The clock is around ``Trainer.fit`` and ``DPOTrainer.train``: the
first step, the data loader and, on xpo's side, the evaluation before the first step are inside; loading and
tokenising are not. Peak memory is that of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH, MAX_LENGTH, BETA, LEARNING_RATE = 8, 1024, 0.1, 5e-7
SIZES: dict[str, Any] = {
    "hidden": 256,
    "layers": 5,
    "heads": 4,
    "intermediate": 688,
    "vocab_size": 8000,
    "max_length": 2048,
}


class Clock:
    """Wall and processor seconds of one call; the latter are steadier on a machine that others use too."""

    def __init__(self) -> None:
        self.wall, self.cpu = 0.0, 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            wall, cpu = time.monotonic(), time.process_time()
            result = function(*args, **options)
            self.wall, self.cpu = time.monotonic() - wall, time.process_time() - cpu
            return result

        return timed


def prepare(folder: Path, data: str, pairs: int) -> None:
    """The rows, and a model whose tokenizer was trained on the whole file."""
    from xpo.model.scratch import Scratch

    opened = gzip.open(data, "rt") if data.endswith(".gz") else open(data)
    with opened as file:
        rows = [json.loads(line) for line in file]
    if len(rows) < pairs + 2:
        raise SystemExit(f"{data} has {len(rows)} rows; {pairs} to train on and 2 to hold out are needed")
    for name, part in (("train", rows[:pairs]), ("test", rows[-2:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    texts = [row[key] for row in rows for key in ("prompt", "chosen", "rejected")]
    loaded = Scratch(**SIZES, tie_embeddings=False).load(seed=0, texts=lambda: texts)
    loaded.model.save_pretrained(folder / "model")
    loaded.tokenizer.save_pretrained(folder / "model")


def run_xpo(folder: Path) -> Clock:
    """The command that a user would run, timed in ``Trainer.fit``."""
    from lightning.pytorch import Trainer

    from xpo.cli import main

    out = Path(tempfile.mkdtemp(dir=folder))
    clock = Clock()
    Trainer.fit = clock.around(Trainer.fit)
    sys.argv = [
        "xpo",
        "algo=dpo",
        f"reward.beta={BETA}",
        "reference.cache=false",
        "model=hf",
        f"model.path={folder / 'model'}",
        "data=jsonl",
        f"data.path={folder / 'train.jsonl'}",
        f"data.test_path={folder / 'test.jsonl'}",
        f"data.max_length={MAX_LENGTH}",
        f"trainer.batch_size={BATCH}",
        f"trainer.tokens_per_micro_batch={4 * BATCH * MAX_LENGTH}",  # a batch is one micro-batch
        f"optimizer.lr={LEARNING_RATE}",
        "eval.samples=0",
        f"hydra.run.dir={out}",
    ]
    main()
    scoring = json.loads((out / "manifest.json").read_text())["scoring"]
    assert scoring["path"] == "shared", scoring
    return clock


def run_trl(folder: Path, checkpointing: bool) -> Clock:
    """TRL's trainer with its own defaults but for what the two sides must share, timed in ``train``."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer  # pyright: ignore

    settings = DPOConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        max_length=MAX_LENGTH,
        beta=BETA,
        learning_rate=LEARNING_RATE,
        gradient_checkpointing=checkpointing,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(folder / "model"),
        args=settings,
        train_dataset=load_dataset("json", data_files=str(folder / "train.jsonl"), split="train"),
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
    )
    clock = Clock()
    clock.around(trainer.train)()
    return clock


def peak_megabytes() -> float:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform.startswith("linux") else peak / 1024**2


def in_process(part: str, args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run one part in a fresh Python; its result is the last line that it prints."""
    command = [sys.executable, __file__, args.data, "--part", part, "--folder", str(folder)]
    command += ["--pairs", str(args.pairs), *(["--checkpointing"] if args.checkpointing else [])]
    threads = {"OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{part} failed:\n{done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def run_part(args: argparse.Namespace) -> None:
    """What happens inside one of the processes."""
    folder = Path(args.folder)
    clock = Clock()
    if args.part == "prepare":
        prepare(folder, args.data, args.pairs)
    elif args.part == "xpo":
        clock = run_xpo(folder)
    else:
        clock = run_trl(folder, args.checkpointing)
    print(json.dumps({"seconds": clock.wall, "cpu_seconds": clock.cpu, "megabytes": peak_megabytes()}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="JSON lines (.gz too) with prompt, chosen, rejected")
    parser.add_argument("--pairs", type=int, default=96, help="pairs to train on, a multiple of 8")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=1, help="runs of each side, in turns; the best counts")
    parser.add_argument("--checkpointing", action="store_true", help="TRL's default gradient checkpointing")
    parser.add_argument("--part", choices=["prepare", "xpo", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pairs < BATCH or args.pairs % BATCH:
        parser.error(f"--pairs must be a multiple of {BATCH}, got {args.pairs}")
    if args.part:
        return run_part(args)
    results: dict[str, list[dict[str, float]]] = {"xpo": [], "trl": []}
    with tempfile.TemporaryDirectory() as name:
        in_process("prepare", args, Path(name))
        for _, side in itertools.product(range(args.repeats), results):
            results[side].append(in_process(side, args, Path(name)))
    report(results, args.pairs)


def report(results: dict[str, list[dict[str, float]]], pairs: int) -> None:
    best = {side: max(pairs / run["seconds"] for run in runs) for side, runs in results.items()}
    peak = {side: min(run["megabytes"] for run in runs) for side, runs in results.items()}
    busy = {side: max(pairs / run["cpu_seconds"] for run in runs) for side, runs in results.items()}
    for side in results:
        per_cpu = f"{busy[side]:8.2f} pairs per CPU second"
        print(f"{side:4} {best[side]:8.2f} pairs/s   {per_cpu}   {peak[side]:8.0f} MB peak")
    print(f"ratio of pairs per second  {best['xpo'] / best['trl']:.2f}")
    print(f"ratio per CPU second       {busy['xpo'] / busy['trl']:.2f}")
    print(f"ratio of peak memory       {peak['xpo'] / peak['trl']:.2f}")


if __name__ == "__main__":
    main()
