"""Settings of a preset that only a user can give."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from typing import Any

from xpo.explain.options import options
from xpo.explain.presets import chosen_by, read

MISSING = "???"


def left_open(algo: str, data: str, given: Container[str] = ()) -> list[str]:
    """Such keys, as ``group.key``, of the options that a preset chooses on these data.

    Of lists that are empty by default those that ``given`` has.
    """
    choices = read(algo).choices | chosen_by(f"data/{data}")
    return [
        f"{group}.{key}"
        for group, name in choices.items()
        for settings in _settings(group, name)
        for key in open_keys(settings, given)
    ]


@cache
def _settings(group: str, name: str) -> list[Mapping[str, Any]]:
    """Of an option, if it is one of this group's."""
    return [option.settings for option in options(group) if option.name == name]


def open_keys(settings: Mapping[str, Any], given: Container[str] = ()) -> list[str]:
    """The keys of one option that only a user can set."""
    return [str(key) for key, value in settings.items() if value == MISSING or (value == [] and key in given)]


def filled_in(algo: str, data: str, way: Mapping[str, str], rows: str = "rows.jsonl") -> list[str]:
    """They and their values, as overrides, and what else the preset asks of its user (``algo.asks``).

    ``way`` has a value for each key; ``rows`` is a file of comparisons.
    """
    found = [f"{key}={way[key.partition('.')[2]]}" for key in left_open(algo, data, way)]
    if "annotator" in chosen_by(f"data/{data}"):  # the data bring what presets ask for
        return found
    return [*found, *(ask.format(path=way["path"], rows=rows) for ask in read(algo).asks)]
