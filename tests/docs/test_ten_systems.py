"""Every line of the page of ten systems is its system, part by part, and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xpo.compose import build, compose_config
from xpo.stages.job import execute

PAGE = Path(__file__).parents[2] / "docs" / "ten_systems.md"
RUN_BY = {"model", "data", "trainer", "eval", "logger", "annotator"}
"""Groups that a line leaves to its user."""
STEPS = (
    "trainer.steps=4",
    "hp.sft.separate.steps=2",
    "data.prompts=2",
    "data.symbols=3",
    "data.max_symbols=2",
)


def lines() -> list[tuple[str, str, tuple[str, ...]]]:
    """Base preset, system and overrides of each line of the page."""
    found = []
    for part in PAGE.read_text(encoding="utf-8").split("## From")[1:]:
        base = re.search(r"algo=(\w+)", part)
        assert base is not None
        for system, overrides in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|$", part, re.M):
            found.append((base[1], system, tuple(overrides.split())))
    return found


LINES = lines()


def test_there_are_ten_at_least() -> None:
    assert len(LINES) >= 10 and {base for base, _, _ in LINES} == {"dpo", "ppo"}


def gold(overrides: tuple[str, ...]) -> list[str]:
    """Without who judges outside the gold world."""
    drawn = (
        []
        if "sampling=" in " ".join(overrides) or "schedule=iterative" not in overrides
        else ["data.mode=sampled"]
    )
    return ["data=gold", *drawn, *(o for o in overrides if not o.startswith("annotator="))]


def with_rates(system: str, base: str, overrides: tuple[str, ...]) -> tuple[dict, dict]:
    """Both compositions' parts, with their own learning rates and not the gold world's."""
    made = compose_config([f"algo={base}", *gold(overrides)])
    meant = compose_config([f"algo={system}", "data=gold"])
    return build(made).components(), build(meant).components()


@pytest.mark.parametrize(("base", "system", "overrides"), LINES, ids=[line[1] for line in LINES])
def test_a_line_is_its_system(base: str, system: str, overrides: tuple[str, ...]) -> None:
    made, meant = with_rates(system, base, overrides)
    rate = next((float(o.partition("=")[2]) for o in overrides if o.startswith("optimizer.lr=")), None)
    if rate is not None:  # the gold world has its own; outside of it the preset's is the line's
        made["optimizer"] = meant["optimizer"]
        outside = compose_config(
            [f"algo={system}", "data=jsonl", "data.path=x", "model=hf", "model.path=y", "annotator=human"]
        )
        assert outside["optimizer"]["lr"] == rate
    assert {k: v for k, v in made.items() if k not in RUN_BY} == {
        k: v for k, v in meant.items() if k not in RUN_BY
    }


@pytest.mark.parametrize(("base", "system", "overrides"), LINES, ids=[line[1] for line in LINES])
def test_a_line_runs(base: str, system: str, overrides: tuple[str, ...], tmp_path: Path) -> None:
    more = [*STEPS, "logger=none", "eval.samples=0", f"cache={tmp_path / 'cache'}"]
    if "schedule=online" not in overrides and base == "dpo":  # rounds of files answer all their prompts
        more.append("data.records=8")
    drop = ("optimizer.lr=",)
    given = [o for o in gold(overrides) if not o.startswith(drop)]
    metrics = execute(build(compose_config([f"algo={base}", *given, *more])), tmp_path / "run")
    assert metrics["gold/reward"] == metrics["gold/reward"], "not a number"


def test_a_line_that_lacks_an_override_is_not_its_system() -> None:
    base, system, overrides = next(line for line in LINES if line[1] == "spin")
    made, meant = with_rates(system, base, tuple(o for o in overrides if o != "reference=previous"))
    assert made["reference"] != meant["reference"]
