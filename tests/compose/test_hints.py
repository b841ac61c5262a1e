"""Hints for a key that was given without its group."""

from __future__ import annotations

import pytest

from xpo.compose.compose import compose_config
from xpo.compose.errors import ConfigError


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
