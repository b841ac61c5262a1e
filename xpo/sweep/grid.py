"""From the overrides of ``-m`` to the cells of a grid."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xpo.compose.errors import ConfigError

LONGEST_NAME = 80


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: all its overrides, and those of them that vary over the sweep."""

    number: int
    overrides: tuple[str, ...]
    swept: tuple[str, ...]

    @property
    def name(self) -> str:
        """The cell's folder: its number and what is special about it, in letters safe everywhere."""
        return f"{self.number:03d}_{_slug(self.swept)}" if self.swept else f"{self.number:03d}"

    @property
    def settings(self) -> dict[str, str]:
        """What varies, key to value, for tables."""
        return dict(override.split("=", 1) for override in self.swept)


def expand(arguments: Iterable[str], params: dict[str, Any], config_loader: Any) -> list[Cell]:
    """The product of all swept values, the last key running fastest; a later override of a key wins.

    ``params`` is a grid from a config file; the command line wins over it. Raises ``ConfigError`` for a
    continuous range, which has no cells.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    lines = [f"{key}={value}" for key, value in params.items()] + list(arguments)
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create(config_loader=config_loader).parse_overrides(lines):
        choices[override.get_key_element().lstrip("+")] = _values(override)
    varying = {key for key, values in choices.items() if len(values) > 1}
    return [
        Cell(
            number,
            tuple(line for _, line in chosen if line),
            tuple(line for key, line in chosen if key in varying),
        )
        for number, chosen in enumerate(_product(choices))
    ]


def _product(choices: dict[str, list[str]]) -> Iterable[tuple[tuple[str, str], ...]]:
    return itertools.product(*([(key, line) for line in lines] for key, lines in choices.items()))


def _values(override: Any) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [override.input_line]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: a grid has no cells in a continuous interval. "
            "Give values (a,b,c), choice(...), range(start,stop,step) or glob(*)"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _slug(overrides: Iterable[str]) -> str:
    """``algo=simpo, reward.beta=2`` as ``algo-simpo_beta-2``; longer than 80 characters ends in a hash."""
    import hashlib

    parts = (override.split("=", 1) for override in overrides)
    words = "_".join(f"{key.lstrip('+').rsplit('.', 1)[-1]}-{value}" for key, value in parts)
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", words)
    if len(clean) <= LONGEST_NAME:
        return clean
    digest = hashlib.sha256(words.encode()).hexdigest()[:8]
    return f"{clean[: LONGEST_NAME - 9]}-{digest}"
