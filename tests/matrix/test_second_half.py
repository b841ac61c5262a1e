"""One half of the presets against every axis value."""

from __future__ import annotations

import re

import pytest

from tests.matrix.checks import DOCUMENT, MatrixTests, half
from xpo.compose import compose_config
from xpo.compose.groups import AXES
from xpo.explain.matrix import swapped
from xpo.explain.options import options


class TestSecondHalf(MatrixTests):
    algos = half(1)


def test_dpo_takes_two_values_or_more_on_most_axes() -> None:
    """One preset by name, from the document of all."""
    table = DOCUMENT.read_text(encoding="utf-8")
    wide = [axis for axis in AXES if len(_accepted(table, axis, "dpo")) >= 2]
    assert len(wide) >= 9, wide


def _accepted(table: str, axis: str, algo: str) -> list[str]:
    section = table.split(f"\n## {axis}\n")[1].split("\n## ")[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| {algo} |"))
    return [cell for cell in row.split("|")[2:-1] if re.search(r"own|[LGDS]+\b|=", cell)]


@pytest.mark.parametrize("choice", ["divergence=alpha", "margin=none", "sft=merged", "length=penalty"])
def test_swapping_an_option_is_composing_it(choice: str) -> None:
    axis, value = choice.split("=")
    option = next(option for option in options(axis) if option.name == value)
    for algo in ("simpo", "orpo"):
        config = compose_config([f"algo={algo}"])
        assert list(swapped(config, option, [{}])) == [compose_config([f"algo={algo}", choice])]
