"""What is made from a composition, made once for all compositions that agree in what was read to make it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from xpo.compose.composition import Composition

Made = TypeVar("Made")

_PARTS = frozenset(field.name for field in dataclasses.fields(Composition)) - {"config"}
_BYPASSES = frozenset({"__dict__", "__reduce_ex__", "__getstate__"})  # ways to parts that name none of them
_KEPT = 64  # at a time: what is asked for again is asked for soon


class Memory(Generic[Made]):
    """``memory(composition)`` is ``make(composition)``.

    ``make`` must depend on nothing else that changes, and keep no hold on the composition: reading it later
    is a ``RuntimeError``. What is given back is shared, and not to be changed.
    """

    def __init__(self, make: Callable[[Composition], Made]) -> None:
        self._make = make
        self._kept: list[tuple[_Notes, Made]] = []

    def __call__(self, composition: Composition) -> Made:
        needs = composition.needs
        for place, (notes, made) in enumerate(self._kept):
            if notes.hold_for(composition, needs):
                self._kept.insert(0, self._kept.pop(place))
                return made
        notes = _Notes(composition)
        made = self._make(_Watched.of(composition, notes))
        notes.closed = True
        self._kept = [(notes, made), *self._kept[: _KEPT - 1]]
        return made


class _Notes:
    """What was read of a composition: parts, keys of the config, what the objective needs of rows."""

    def __init__(self, composition: Composition) -> None:
        self.closed = False
        self._of = composition
        self._parts: set[str] = set()
        self._keys: set[str] = set()
        self._needs = False
        self.needed = composition.needs

    def part(self, name: str) -> None:
        self._open()
        self._parts.add(name)

    def key(self, name: str) -> None:
        self._open()
        self._keys.add(name)

    def needs(self) -> None:
        self._open()
        self._needs = True

    def everything(self) -> None:
        self._open()
        self._parts |= _PARTS
        self._keys |= set(self._of.config)

    def hold_for(self, other: Composition, needs: frozenset[str]) -> bool:
        """Whether the same would be read of another."""
        return (
            all(getattr(self._of, name) == getattr(other, name) for name in self._parts)
            and all(self._of.config.get(key) == other.config.get(key) for key in self._keys)
            and (not self._needs or self.needed == needs)
        )

    def _open(self) -> None:
        if self.closed:
            raise RuntimeError("what was made from a composition still reads it: it cannot be shared")


class _Watched(Composition):
    """A composition that notes what is read of it."""

    @classmethod
    def of(cls, composition: Composition, notes: _Notes) -> _Watched:
        made = cls(**{field.name: getattr(composition, field.name) for field in dataclasses.fields(cls)})
        object.__setattr__(made, "_notes", notes)
        return made

    def __getattribute__(self, name: str) -> Any:
        get = super().__getattribute__
        notes = get("__dict__").get("_notes")
        if notes is None:  # a changed copy: all of this one was read to make it
            return get(name)
        if name == "config":
            return _Config(get(name), notes)
        if name == "needs":
            notes.needs()
            return notes.needed
        if name in _PARTS:
            notes.part(name)
        elif name in _BYPASSES:
            notes.everything()
        return get(name)


class _Config(Mapping[str, Any]):
    """The config of a watched composition."""

    def __init__(self, config: Mapping[str, Any], notes: _Notes) -> None:
        self._config, self._notes = config, notes

    def __getitem__(self, key: str) -> Any:
        self._notes.key(key)
        return self._config[key]

    def __iter__(self) -> Iterator[str]:
        self._notes.everything()
        return iter(self._config)

    def __len__(self) -> int:
        self._notes.everything()
        return len(self._config)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        self._notes.everything()
        return copy.deepcopy(dict(self._config), memo)
