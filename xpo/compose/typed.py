"""Plain values against typed fields: what YAML gives must be what a component's fields say."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from xpo.compose.errors import did_you_mean


class WrongType(ValueError):
    """A value that its field's type does not allow; the message says what it does allow."""


def fit(value: Any, kind: Any) -> Any:
    """``value`` as ``kind`` wants it (ints become floats, lists tuples), else ``WrongType``."""
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is Literal:
        return _choice(value, get_args(kind))
    if origin in (Union, types.UnionType):
        return _any_of(value, kind)
    if origin is tuple:
        return _sequence(value, kind)
    if origin is dict:
        return _mapping(value, kind)
    return _scalar(value, kind)


def describe(kind: Any) -> str:
    """A type as a user would say it."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(describe(part) for part in get_args(kind))
    if kind is type(None):
        return "null"
    if get_origin(kind) is tuple:
        return f"a list of {_plural(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return "a mapping"
    return _NAMES[kind][0] if kind in _NAMES else str(kind)


_NAMES = {
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    bool: ("true or false", "true or false"),
    str: ("a text", "texts"),
}


def _plural(kind: Any) -> str:
    if get_origin(kind) is dict:
        return "mappings"
    return _NAMES[kind][1] if kind in _NAMES else describe(kind)


def _choice(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value in allowed and type(value) in {type(choice) for choice in allowed}:
        return value
    words = [str(choice) for choice in allowed]
    raise WrongType(f"must be one of {', '.join(words)}, got {value!r}.{did_you_mean(str(value), words)}")


def _any_of(value: Any, kind: Any) -> Any:
    # exact types first, so that an int is not taken for the float of "float | int"
    parts = sorted(get_args(kind), key=lambda part: part is not type(value))
    for part in parts:
        try:
            return fit(value, part)
        except WrongType:
            continue
    raise WrongType(f"must be {describe(kind)}, got {value!r}")


def _sequence(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise WrongType(f"must be {describe(kind)}, got {value!r}")
    args = get_args(kind)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(fit(item, args[0]) for item in value)
    if len(value) != len(args):
        raise WrongType(f"must have {len(args)} entries, got {len(value)}")
    return tuple(fit(item, part) for item, part in zip(value, args, strict=True))


def _mapping(value: Any, kind: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise WrongType(f"must be a mapping, got {value!r}")
    _, item_kind = get_args(kind)
    return {str(key): fit(item, item_kind) for key, item in value.items()}


def _scalar(value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-6 as a text
        except ValueError:
            pass
    if kind is type(None) and value is None:
        return None
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise WrongType(f"must be {describe(kind)}, got {value!r} ({type(value).__name__})")
