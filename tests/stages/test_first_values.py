"""Every preset's loss before the first step, through the real collator, scoring pass and module."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.first_table import FIRST
from tests.stages.first_values import Seen
from tests.stages.test_step_zero import composed, loss, rows
from xpo.compose import presets
from xpo.contracts import Row
from xpo.explain import presets as files
from xpo.gold.world import World
from xpo.model.scratch import Scratch

OWN = [
    name
    for name in presets()
    if (Path(__file__).parents[2] / "conf/algo" / f"{name}.yaml").is_file()
    and files.read(name).choices["reward"] != "head"  # which begins with random weights
    and files.read(name).choices["objective"] != "policy_gradient"  # tests/on_policy/test_first_losses.py
    and files.read(name).choices.get("anchor") != "optimism"  # which reads another player's samples
]
ARITY = {1: "single", 2: "pair", 3: "list"}


def test_every_preset_is_in_the_table() -> None:
    assert set(FIRST) == set(OWN)


@cache
def model() -> Any:
    return Scratch(hidden=32, layers=2, heads=2, max_length=64).build(World().tokenizer(), seed=3)


@cache
def seen(B: int, K: int) -> tuple[Seen, ...]:
    return tuple(map(by_whole_logits, rows(B, K)))


@torch.no_grad()
def by_whole_logits(row: Row) -> Seen:
    start, prompt, responses, spread, rival = len(row.prompt), [], [], [], []
    for response in row.responses:
        ids = torch.tensor([*row.prompt, *response])
        logps = model()(input_ids=ids[None]).logits[0].double().log_softmax(-1)[:-1]
        found = logps.gather(1, ids[1:, None])[:, 0]
        prompt = found[: start - 1].tolist()
        responses.append(found[start - 1 :].tolist())
        others = logps.scatter(1, ids[1:, None], -torch.inf)
        rival.append(others.max(1).values[start - 1 :].tolist())
        spread.append((2 * logps).logsumexp(-1)[start - 1 :].tolist())
    return Seen(row, prompt, responses, spread, rival, logps.shape[1])


@pytest.mark.parametrize("preset", FIRST)
def test_first_value(preset: str) -> None:
    overrides = (f"algo={preset}", *FIRST[preset].overrides)
    composition = composed(*overrides)
    sizes = [K for K, name in ARITY.items() if name in composition.objective.arity]
    for B, K in itertools.product((1, 2, 3), sizes):
        value, metrics = loss(model(), overrides, rows(B, K), composition.reference.given)
        assert value == pytest.approx(FIRST[preset].value(seen(B, K)), rel=1e-6, abs=1e-5), (B, K)
        if "rewards/margins" in metrics and composition.reference.given and not composition.length.has_offset:
            assert metrics["rewards/margins"][0].item() == pytest.approx(0.0, abs=1e-5)
