"""One half of the presets against every axis value."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.matrix.checks import DOCUMENT, MatrixTests, half
from xpo.compose import ConfigError, compose_config, presets
from xpo.compose.assembled import assembled
from xpo.compose.composition import Composition, instantiate
from xpo.compose.groups import AXES
from xpo.explain.left_open import filled_in, open_keys
from xpo.explain.matrix import swapped, with_swapped
from xpo.explain.matrix_data import CONTEXTS, UNREAD, where_from, with_rows
from xpo.explain.options import options


class TestSecondHalf(MatrixTests):
    algos = half(1)


@pytest.mark.parametrize(("algo", "least"), [("dpo", 11), ("grpo", 9)])
def test_two_values_or_more_are_taken_on_most_axes(algo: str, least: int) -> None:
    """Two presets by name, from the document of all."""
    table = DOCUMENT.read_text(encoding="utf-8")
    wide = [axis for axis in AXES if len(_accepted(table, axis, algo)) >= 2]
    assert len(wide) >= least, wide


def _accepted(table: str, axis: str, algo: str) -> list[str]:
    section = table.split(f"\n## {axis}\n")[1].split("\n## ")[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| {algo} |"))
    return [cell for cell in row.split("|")[2:-1] if re.search(r"own|[LGDS]+\b|=", cell)]


@pytest.mark.parametrize("seed", range(10))
def test_swapping_an_option_is_composing_it(seed: int) -> None:
    """In a drawn preset, on drawn data: what a run would compose, and every component of it."""
    r = random.Random(seed)
    algo, axis, (data, *_) = r.choice(presets()), r.choice(AXES), r.choice(list(CONTEXTS.values()))
    taken = [f"algo={algo}", *with_rows(data, Path("rows.jsonl"))]
    taken += filled_in(algo, where_from(data), UNREAD[0])
    option = r.choice([option for option in options(axis) if option.name != assembled(taken)[axis]["name"]])
    left = [f"{axis}.{key}={UNREAD[0][key]}" for key in open_keys(option.settings, UNREAD[0])]
    gone = [override for override in taken if not override.startswith(f"{axis}.")]
    config = compose_config([*gone, f"{axis}={option.name}", *left])
    before = assembled(taken)
    assert list(swapped(before, option, UNREAD)) == [config]
    base = parts(lambda: instantiate(before))
    if isinstance(base, Composition):
        assert parts(lambda: with_swapped(base, axis, config)) == parts(lambda: instantiate(config))


def parts(make: Callable[[], Composition]) -> Composition | str:
    """Or what only a user can give."""
    try:
        return make()
    except ConfigError as error:
        return str(error)
