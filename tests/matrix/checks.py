"""Every preset with every value of every axis: it changes something, or it is refused with a reason.

Two files take half of the presets each, so that two processes share the work.
"""

from __future__ import annotations

from pathlib import Path

from xpo.compose import build, compose_config, presets
from xpo.compose.groups import AXES
from xpo.explain.matrix import FILE, GOLD, Entry, digest
from xpo.explain.options import options

DOCUMENT = Path(__file__).parents[2] / "docs" / "matrix.md"
ACCEPTED = ("own", "changes", "equal")


def half(number: int) -> list[str]:
    """Every second preset."""
    return presets()[number::2]


def check_complete(entries: list[Entry], algos: list[str]) -> None:
    """It has every combination."""
    found = {(entry.algo, entry.where, entry.axis, entry.value) for entry in entries}
    assert found == {
        (algo, where, axis, option.name)
        for algo in algos
        for where in ("gold", "file")
        for axis in AXES
        for option in options(axis)
    }


def check_effects(entries: list[Entry]) -> None:
    """An accepted override changes what is trained, or declares that it does not."""
    assert [e for e in entries if e.status == "equal" and not e.reason] == []


def check_reasons(entries: list[Entry]) -> None:
    """A refusal has a reason that names what is refused."""
    for entry in entries:
        if entry.status == "refused":
            assert len(entry.reason.split()) > 5, entry
            named = (entry.value, entry.axis, "rows.jsonl:")  # the option, or the row that cannot carry it
            assert any(word in entry.reason for word in named), entry


def check_nearest(entries: list[Entry]) -> None:
    """The nearest combination composes, one refusal of every wording."""
    context = {"gold": list(GOLD), "file": [*FILE, "data.path=unread.jsonl"]}
    seen: dict[tuple[str, str], Entry] = {}
    for e in entries:
        if e.nearest:
            seen.setdefault((e.axis, " ".join(e.nearest)), e)
    for e in [entry for entry in seen.values() if entry.value not in ("model", "adapter")]:
        build(compose_config([f"algo={e.algo}", *context[e.where], f"{e.axis}={e.value}", *e.nearest]))


def check_document(entries: list[Entry], algos: list[str]) -> None:
    """docs/matrix.md says the same."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    stale = [algo for algo in algos if digest(algo, [e for e in entries if e.algo == algo]) not in lines]
    assert not stale, f"out of date for {stale}: run python -m xpo.explain.matrix docs/matrix.md"


def accepts(entries: list[Entry], algo: str) -> set[str]:
    """The axes on which a preset takes two values or more."""
    mine = [e for e in entries if e.algo == algo and e.status in ACCEPTED]
    return {axis for axis in AXES if len({e.value for e in mine if e.axis == axis}) >= 2}
