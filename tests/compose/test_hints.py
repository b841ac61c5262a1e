"""Hints for a key that was given without its group."""

from __future__ import annotations

import re

import pytest

from xpo.compose import build
from xpo.compose.compose import compose_config
from xpo.compose.errors import ConfigError, Refused


@pytest.mark.parametrize(
    ("key", "place"), [("beta", "reward.beta or annotator.beta or critic.beta"), ("tau", "objective.tau")]
)
def test_a_key_without_its_group_is_told_where_it_stands(key: str, place: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean {place}\\?"):
        compose_config([f"{key}=0.1"])


def test_a_key_of_several_groups_is_told_all_of_them() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean (\w+\.lr or )*\w+\.lr\?") as caught:
        compose_config(["lr=0.1"])
    assert "optimizer.lr" in str(caught.value) and "sft.lr" in str(caught.value)


def test_overrides_within_an_override_are_quoted() -> None:
    with pytest.raises(ConfigError, match=re.escape("""'annotator.overrides=["a=2","b=3"]'""")):
        compose_config(["algo=ppo", "annotator=trained", "annotator.overrides=[a=2, b=3]"])


@pytest.mark.parametrize(
    ("overrides", "fix"),
    [
        (["algo=rlhf_anthropic", "annotator.refresh=0"], ("data.pretraining=FILE",)),
        (
            ["algo=ppo", "annotator=trained", 'annotator.overrides=["seed=3","feedback=binary"]'],
            ('annotator.overrides=["seed=3","feedback=preference"]',),
        ),
        (["algo=ppo", "annotator=trained", "annotator.algo=foo"], ()),
    ],
)
def test_what_a_run_before_lacks_is_told_as_this_runs_override(overrides: list[str], fix: tuple[str]) -> None:
    with pytest.raises(Refused) as refused:
        build(compose_config([*overrides, "data=jsonl", "data.path=x", "model=scratch"]))
    assert refused.value.nearest == fix
