"""Values as the command line takes them."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from xpo.reward_level.span import SpanLevel
from xpo.written import reset, written


@pytest.mark.parametrize(
    "value", [None, True, False, 0.003, 1e-08, 4, "sdpa", r"\n", [0.9, 0.99], ["all-linear"], []]
)
def test_what_is_shown_can_be_typed(value: Any) -> None:
    parsed = OverridesParser.create().parse_override(f"key={written(value)}").value()
    assert parsed == value


def test_a_mapping_shows_what_is_given() -> None:
    assert written({"prompt": "question", "chosen": None}) == "{prompt:question}"


def test_a_tuple_is_a_list() -> None:
    assert written((0.9, None)) == "[0.9,null]"


def test_settings_that_are_no_defaults_can_be_typed_back() -> None:
    assert reset("reward_level", SpanLevel("subsentence", "Wrong")) == [
        "reward_level.segments=sentence",
        "reward_level.span_type=null",
    ]
    assert reset("reward_level", SpanLevel()) == []
