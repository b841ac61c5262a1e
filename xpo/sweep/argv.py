"""Two repairs of a sweep's command line, made before Hydra reads it."""

from __future__ import annotations

import re

_FLAGS = ("-m", "--multirun")
_PLAIN_VALUE = re.compile(r"(\+{0,2}[A-Za-z_]\w*(?:\.[\w-]+)+)=(.+)", re.DOTALL)
_SWEEPS = re.compile(r"\s*(choice|range|glob|interval|sort|shuffle|tag)\(")


def sweep_argv(arguments: list[str]) -> list[str]:
    """The arguments (without the program's name) as Hydra needs them; unchanged without ``-m``.

    ``-m`` goes first: Hydra 1.3 refuses overrides on both sides of it. And ``group.key=value`` becomes
    a choice of one: Hydra applies plain overrides to the *default* preset before it asks the sweeper
    for cells, where a key that only the swept presets have would end the sweep before it began.
    """
    if not any(flag in arguments for flag in _FLAGS):
        return list(arguments)
    rest = [argument for argument in arguments if argument not in _FLAGS]
    return ["--multirun", *(_as_choice(argument) for argument in rest)]


def _as_choice(argument: str) -> str:
    found = _PLAIN_VALUE.fullmatch(argument)
    if found is None or found[1].lstrip("+").startswith("hydra."):
        return argument
    key, value = found.groups()
    if _SWEEPS.match(value) or _splits(value) or value.strip().lower() == "null":  # choice(null) is refused
        return argument
    return f"{key}=choice({value})"


def _splits(value: str) -> bool:
    """Whether a comma stands outside quotes and brackets: ``1,2`` is a sweep already."""
    depth, quote = 0, ""
    for before, letter in zip(" " + value, value, strict=False):
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            return True
    return False
