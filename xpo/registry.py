"""Names to components: the only way in which a config selects code.

An option is a *name* in a *group* (an axis, or one of the groups beside the axes). A component is a
frozen dataclass: its fields are the option's keys, its class variables are its declarations. No
config key can name code to import.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from xpo.errors import UserError

Component = TypeVar("Component", bound=type)

_REGISTRY: dict[tuple[str, str], type] = {}
_LOADED: set[str] = set()


def register(group: str, name: str) -> Callable[[Component], Component]:
    """Class decorator: make a frozen dataclass selectable as ``<group>=<name>``.

    Raises ``TypeError`` if the class is no frozen dataclass, ``UserError`` if the name is taken or
    the class is registered already (the message names both sides).
    """

    def add(cls: Component) -> Component:
        params = getattr(cls, "__dataclass_params__", None)
        if params is None or not params.frozen:
            raise TypeError(
                f"{group}={name}: {cls.__qualname__} must be a frozen dataclass "
                "(put @dataclass(frozen=True) below @register)"
            )
        taken = _REGISTRY.get((group, name))
        if taken is not None and _origin(taken) != _origin(cls):
            raise UserError(f"{group}={name} is taken: {_origin(taken)} and {_origin(cls)} both register it")
        for (other_group, other_name), other in _REGISTRY.items():
            if other is cls:
                raise UserError(f"{_origin(cls)} is registered already, as {other_group}={other_name}")
        _REGISTRY[group, name] = cls
        return cls

    return add


def component(group: str, name: str) -> type:
    """The class registered as ``<group>=<name>``; ``KeyError`` lists the names that exist."""
    load(group)
    if (group, name) not in _REGISTRY:
        known = ", ".join(names(group)) or "none"
        raise KeyError(f"no component {name!r} in group {group!r}; registered: {known}")
    return _REGISTRY[group, name]


def names(group: str) -> list[str]:
    """All names registered in a group, sorted."""
    load(group)
    return sorted(name for g, name in _REGISTRY if g == group)


def fields(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """The option's keys: the dataclass fields that a config may set."""
    return {f.name: f for f in dataclasses.fields(cls) if f.init}


def load(group: str) -> None:
    """Import every module of the built-in package ``xpo.<group>``, once."""
    if group in _LOADED:
        return
    _LOADED.add(group)
    try:
        package = importlib.import_module(f"xpo.{group}")
    except ModuleNotFoundError as error:
        if error.name != f"xpo.{group}":
            raise
        return  # a group that only plugins fill
    for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
        importlib.import_module(f"xpo.{group}.{module.name}")


def _origin(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
