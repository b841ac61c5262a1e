"""A config put together from files is the one that Hydra composes; every preset and option: see theirs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from xpo.compose import ConfigError, assembled, compose_config, presets
from xpo.compose.compose import option_files
from xpo.compose.groups import GROUPS

GOLD = ("data=gold", "data.mode=sampled", "model.hidden=16", "++hp.length.overlong.most=4")
FILE = ("data=jsonl", "data.path=rows.jsonl", "model=scratch", "trainer.threads=1", "seed=3")
VALUES = (
    "optimizer.lr=1e-3",
    "trainer.steps=3",
    "cache='a folder'",
    "++hp.reward.implicit.beta=0.7",
    "+trainer.unread=[1, {a: null}]",
    "adapter=lora",
    "model=scratch",
)
DRAWS = 16


def drawn(seed: int) -> list[str]:
    """A preset on some data with options of other groups, and values."""
    r = random.Random(seed)
    found = [f"algo={r.choice(presets())}", *r.choice([(), GOLD, FILE])]
    taken = {override.split("=")[0] for override in found}
    for group in r.sample([group for group in GROUPS if group not in taken], 4):
        found.append(f"{group}={r.choice(option_files(group))}")
    taken = {override.split("=")[0] for override in found}
    return [*found, *(value for value in r.sample(VALUES, 2) if value.split("=")[0] not in taken)]


def said(make: Any, overrides: list[str]) -> Any:
    """The config with its types, or what is wrong."""
    try:
        return {key: repr(value) for key, value in make(overrides).items()}
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(DRAWS))
def test_it_is_the_composed_one(seed: int) -> None:
    overrides = drawn(seed)
    assert said(assembled.assembled, overrides) == said(compose_config, overrides), overrides


@pytest.mark.parametrize("name", option_files("experiment"))
def test_an_experiment_is_the_composed_one(name: str) -> None:
    overrides = [f"experiment={name}", "data.path=x", "model.path=y"][: 2 + ("pro" in name)]
    assert said(assembled.assembled, overrides) == said(compose_config, overrides)


def test_most_need_no_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is not one of Hydra with itself."""
    monkeypatch.setattr(assembled, "compose_config", lambda overrides: None)
    found = [assembled.assembled(drawn(seed)) for seed in range(DRAWS)]
    assert sum(config is not None for config in found) >= DRAWS // 2
    assert all(assembled.assembled([f"algo={algo}"]) is not None for algo in presets())


@pytest.mark.parametrize(
    "overrides",
    [
        ["algo=dpo2"],
        ["divergence=js,alpha"],
        ["~experiment"],
        ["experiment=null"],
        ["margin.gama=1"],
        ["+reward.beta=1"],
        ["++hp.reward.implicit.bet=1"],
        ["++hp.reward.implicit=1"],
        ["reward.beta=${seed}"],
        ["cache=${seed}"],
        ["data=jsonl", "reference=model"],
        ["reward.beta.x=1"],
        ["reward.beta=[1,2"],
        ["nonsense=1"],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_composed(overrides: list[str]) -> None:
    assert said(assembled.assembled, overrides) == said(compose_config, overrides)


def test_what_a_caller_changes_is_its_own() -> None:
    first = assembled.assembled(["algo=simpo"])
    first["margin"]["gamma_beta_ratio"] = first["hp"]["reward"]["implicit"]["beta"] = 7
    again = assembled.assembled(["algo=simpo"])
    assert again["margin"]["gamma_beta_ratio"] == 0.5 and again["hp"]["reward"]["implicit"]["beta"] == 2.0


def test_a_wrong_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file to name an option wins, in place of the last."""
    right = assembled._defaults()
    monkeypatch.setattr(assembled, "_defaults", lambda: dict(reversed(right.items())))
    overrides = ["algo=dpo", "data=gold"]
    assert said(assembled.assembled, overrides) != said(compose_config, overrides)
