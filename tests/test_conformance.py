"""The kit over every option that stands in a conf folder, plugins' included."""

from __future__ import annotations

import pytest

from xpo.testing import Check, Option, cases

GROUPS = (
    "reward",
    "reward_form",
    "reward_level",
    "polarity",
    "feedback",
    "length",
    "divergence",
    "sampling",
    "schedule",
    "sft",
    "objective",
    "critic",
    "margin",
    "query",
    "reduce",
)


@pytest.mark.parametrize(("option", "check"), cases(*GROUPS))
def test_conformance(option: Option, check: Check) -> None:
    check(option.make())
