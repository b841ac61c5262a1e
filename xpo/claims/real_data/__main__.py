"""Measure the claims about real data again, through the real command.

    python -m xpo.claims.real_data DATA [NAME ...] [--seeds N] [--out DIR] [--steps N] [--mutant NAME]

DATA is the folder of the files that claims.yaml names. Prints a Markdown table. ``--steps`` is a dry run;
``--mutant`` builds a fault into each run, and the checks must then fail.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xpo.claims.real_data.claim import Claim, Verdict, judge, load_claims
from xpo.claims.real_data.runs import Plan, measure
from xpo.run.quiet import quiet_libraries


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every claim holds, else 1; a dry run judges nothing."""
    options = _options(argv)
    claims = [claim for claim in load_claims() if not options.names or claim.name in options.names]
    if missing := set(options.names) - {claim.name for claim in claims}:
        raise SystemExit(f"no claim is named {', '.join(sorted(missing))}; see claims.yaml")
    plan = Plan(options.data.resolve(), options.out, range(options.seeds), options.steps, options.mutant)
    quiet_libraries()
    verdicts = [(claim, judge(claim, measure(claim, plan))) for claim in claims]
    print(markdown(verdicts, options.seeds))
    return 0 if options.steps is not None or all(verdict.holds for _, verdict in verdicts) else 1


def markdown(verdicts: Sequence[tuple[Claim, Verdict]], seeds: int) -> str:
    """The table; ``DATA`` stands for the folder of the files, ``OTHER`` for that of the run compared with."""
    columns = ("claim", "command", "metric", f"measured, {seeds} seeds", "must be", "holds")
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for claim, verdict in verdicts:
        rows.append(
            f"| {claim.says} | {_commands(claim)} | `{claim.metric}` | {verdict.measured} | "
            f"{verdict.condition} | {'yes' if verdict.holds else '**no**'} |"
        )
    return "\n".join(rows)


def _commands(claim: Claim) -> str:
    files = f"data.path=DATA/{claim.data}.train.jsonl.gz data.test_path=DATA/{claim.data}.test.jsonl.gz"
    text = f"`python -m xpo {' '.join(claim.run)} {files}`".replace("{against}", "OTHER")
    if claim.against is None:
        return text
    return f"{text}, OTHER: `python -m xpo {' '.join(claim.against)} {files}`"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m xpo.claims.real_data", description="measure claims on real data"
    )
    parser.add_argument("data", type=Path, help="folder of the data files")
    parser.add_argument("names", nargs="*", help="claims to measure; all if none is named")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each run")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps of each stage: a dry run, nothing is judged"
    )
    parser.add_argument("--mutant", help="a fault of xpo.claims.mutants to build in")
    default = Path("outputs") / "claims" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument(
        "--out", type=Path, default=default, help="folder of the runs; finished ones are kept"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
