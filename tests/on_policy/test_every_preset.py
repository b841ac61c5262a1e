"""Every preset of given rows trains on samples, every step and in rounds, or says why it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpo.compose import build
from xpo.compose.assembled import assembled
from xpo.explain.sampled import WHEN, off_policy, overrides, page, refusal
from xpo.stages.job import execute

PAGE = Path(__file__).parents[2] / "docs" / "sampled_presets.md"
TINY = (
    *("data.prompts=2", "data.symbols=3", "data.max_symbols=2", "trainer.steps=4", "trainer.batch_size=4"),
    *("model.hidden=16", "model.layers=1", "model.heads=2", "eval.samples=0", "logger=none"),
)
CASES = [(name, when) for name in off_policy() for when in WHEN]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("name", "when"), CASES, ids=[f"{name}, {when}" for name, when in CASES])
def test_it_runs_or_says_why(name: str, when: str, tmp_path: Path, cache: Path) -> None:
    why = refusal(name, WHEN[when])
    if why:
        assert len(why) > 20 and "=" in why, "it names what does not fit"
        return
    records = () if when == "every step" else ("data.records=8",)
    sizes = ("hp.sft.separate.steps=2", "hp.sft.parallel.steps=2", f"cache={cache}")
    few = ("query.budget=2",) if assembled([f"algo={name}"])["query"]["name"] != "all" else ()
    given = (*overrides(name, WHEN[when]), *TINY, *records, *sizes, *few)
    config = assembled([f"algo={name}", "data=gold", *given])
    metrics = execute(build(config), tmp_path)
    assert metrics["gold/kl"] >= 0 and metrics["gold/reward"] == metrics["gold/reward"]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m xpo.explain.sampled docs/sampled_presets.md"
