"""Do the class variables that rules and stages read stand in a component that came from elsewhere?"""

from __future__ import annotations

import inspect
from functools import cache
from typing import ClassVar, get_origin

from xpo import registry
from xpo.compose.errors import ConfigError


def check_declared(cls: type, group: str, name: str) -> None:
    """``ConfigError`` for a component that lacks what every option of the core's group declares."""
    lacking = sorted(variable for variable in _declared(group) if not hasattr(cls, variable))
    if lacking:
        raise ConfigError(
            f"{group}={name}: {cls.__module__}.{cls.__qualname__} declares no {', '.join(lacking)}. Every "
            f"option of {group} does, as a ClassVar or a property: see those of the core in xpo/{group}/."
        )


@cache
def _declared(group: str) -> frozenset[str]:
    """What all of the core's options of a group declare."""
    classes = [registry.component(group, name) for name in registry.names(group)]
    core = [_variables(cls) for cls in classes if cls.__module__.startswith("xpo.")]
    return frozenset.intersection(*core) if core else frozenset()


def _variables(cls: type) -> frozenset[str]:
    """Names of class variables and properties, inherited ones included."""
    found = {name for name, value in inspect.getmembers(cls) if isinstance(value, property)}
    for parent in cls.__mro__:
        annotations = inspect.get_annotations(parent)
        found |= {name for name, kind in annotations.items() if _is_class_variable(kind)}
    return frozenset(name for name in found if not name.startswith("_"))


def _is_class_variable(kind: object) -> bool:
    return get_origin(kind) is ClassVar or kind is ClassVar or str(kind).startswith("ClassVar")
