"""``make claims``: measure every claim again through the real command, and write the tables.

    python -m xpo.claims [NAME ...] [--jobs N] [--out DIR] [--steps N] [--broken]

Claims are the yaml files of this folder, and for every preset the share of the reward that it earns. Each is
run with three seeds; those that can fail also in two other gold worlds. Results are kept in docs/claims.json
with the commit that they were measured at, and docs/claims.md and the README's table are written from there.
``--steps`` is a dry run; ``--broken`` runs each claim's mutant, whose check must fail.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xpo.claims.claim import Claim, all_claims, shares
from xpo.claims.measure import WORLDS, Plan, measure
from xpo.claims.results import packed, read_results, unpacked, write_results
from xpo.claims.table import Line, lines, markdown

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "claims.json"
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every claim holds (with ``--broken``: if every mutant is caught), else 1."""
    options = _options(argv)
    claims = _chosen(options.names, mutants=options.broken)
    worlds = () if options.seeds_only else WORLDS
    plan = Plan(options.out, options.steps, options.jobs, options.broken, worlds)
    outcomes = measure(claims, plan)
    found = lines(claims, outcomes)
    print(markdown(found))
    if options.broken:
        return _caught(claims, found)
    if options.steps is not None:
        return 0
    commit = _commit()
    fresh = {claim.name: packed(claim, outcomes[claim.name], commit) for claim in claims}
    write_results(RESULTS, read_results(RESULTS) | fresh)
    write_tables()
    return 0 if all(line.holds for line in found) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m xpo.claims", description="measure the project's claims again")
    parser.add_argument("names", nargs="*", help="claims to measure; all if none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--steps", type=int, help="optimizer steps of each run: a dry run, nothing is judged")
    parser.add_argument("--seeds-only", action="store_true", help="leave the other worlds out")
    parser.add_argument(
        "--broken", action="store_true", help="run each claim's mutant, which its check must catch"
    )
    default = Path("outputs") / "claims" / time.strftime("%Y-%m-%d_%H-%M-%S")
    parser.add_argument(
        "--out", type=Path, default=default, help="folder of the runs; finished ones are kept"
    )
    return parser.parse_args(argv)


def _chosen(names: Sequence[str], mutants: bool) -> list[Claim]:
    claims = [*all_claims(), *shares()]
    known = [claim.name for claim in claims]
    for name in names:
        if name not in known:
            raise SystemExit(f"no claim is named {name!r}; there are {', '.join(known)}")
    return [c for c in claims if (not names or c.name in names) and (c.mutant is not None or not mutants)]


def _caught(claims: Sequence[Claim], found: Sequence[Line]) -> int:
    """A mutant is caught when a check of its claim fails."""
    missed = [claim for claim in claims if all(line.holds for line in found if line.claim is claim)]
    for claim in missed:
        print(f"NOT CAUGHT: claim {claim.name} holds with the mutant {claim.mutant!r} built in")
    print(f"{len(claims) - len(missed)} of {len(claims)} mutants are caught")
    return 1 if missed else 0


def write_tables() -> None:
    """docs/claims.md and the README's table, from stored results of claims whose command still stands."""
    results, every = read_results(RESULTS), [*all_claims(), *shares()]
    outcomes = {c.name: unpacked(c, results[c.name]) for c in every if c.name in results}
    known = {name: found for name, found in outcomes.items() if found is not None}
    measured = [claim for claim in every if claim.name in known]
    commits = {claim.name: results[claim.name]["commit"] for claim in measured}
    page = ROOT / "docs" / "claims.md"
    table = markdown(lines(measured, known), commits)
    page.write_text(f"# Measured claims\n\nWritten by `make claims`.\n\n{_HEAD}\n{table}\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN in text and END in text:
        short = markdown(lines([claim for claim in measured if claim.headline], known), commits)
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        readme.write_text(f"{head}{BEGIN}\n{short}\n{END}{tail}", encoding="utf-8")


_HEAD = """Seeds 0, 1 and 2 of the default world (mean ± half of its 95 % interval); what can fail was
measured with seed 0 in two other worlds, too. A claim holds if it does in every run. A row's command is
`python -m xpo data=gold` with its overrides, `seed=` and `data.seed=` (the world).
"""


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
