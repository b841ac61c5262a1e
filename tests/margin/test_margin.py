"""Margins by hand, and the two names of one quantity."""

from __future__ import annotations

import pytest

from xpo.compose.compose import compose_config
from xpo.compose.composition import instantiate
from xpo.compose.errors import ConfigError
from xpo.margin.constant import Constant
from xpo.margin.none import NoMargin
from xpo.testing import failures, toy


def test_by_hand():
    t = toy()
    batch, reward = t.batch, t.reward_BK
    assert Constant(gamma=1.6)(batch, 2.0, reward) == 1.6
    assert Constant(gamma_beta_ratio=0.3)(batch, 2.0, reward) == pytest.approx(0.6)
    assert NoMargin()(batch, 2.0, reward) == 0.0


def test_kit_for_both_names():
    assert failures(Constant(gamma=1.6), "margin") == []
    assert failures(Constant(gamma_beta_ratio=0.3), "margin") == []


@pytest.mark.parametrize("fields", [{}, {"gamma": 1.0, "gamma_beta_ratio": 0.5}])
def test_exactly_one_name(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one of gamma .* and gamma_beta_ratio"):
        Constant(**fields)


@pytest.mark.parametrize("fields", [{"gamma": -0.1}, {"gamma_beta_ratio": float("inf")}])
def test_ranges(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be at least 0"):
        Constant(**fields)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["algo=simpo"], Constant(gamma_beta_ratio=0.5)),
        (["algo=simpo", "margin.gamma=0.7"], Constant(gamma=0.7)),
        (["algo=simpo", "margin.gamma_beta_ratio=0.2"], Constant(gamma_beta_ratio=0.2)),
        (["algo=simpo", "margin=none"], NoMargin()),
        (["algo=dpo", "margin=constant", "margin.gamma=1.0"], Constant(gamma=1.0)),
    ],
)
def test_either_name_on_the_command_line(overrides: list[str], expected: object) -> None:
    assert instantiate(compose_config(overrides)).margin == expected


def test_both_names_on_the_command_line_are_refused():
    with pytest.raises(ConfigError, match="exactly one of gamma"):
        instantiate(compose_config(["algo=simpo", "margin.gamma=0.7", "margin.gamma_beta_ratio=0.2"]))
