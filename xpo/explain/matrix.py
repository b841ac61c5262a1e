"""The matrix preset x axis value: what combines, what it changes, and why the rest is refused.

``python -m xpo.explain.matrix docs/matrix.md`` writes it. Every combination is composed as a run
composes it and probed on a few rows (``xpo.explain.probe``), once in the gold world with drawn labels
and once on rows of a file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from xpo.compose import ConfigError, Refused, build, presets
from xpo.compose.assembled import assembled
from xpo.compose.compat import check
from xpo.compose.composition import Composition, component
from xpo.compose.groups import AXES
from xpo.errors import UserError
from xpo.explain.declared import declared_equal
from xpo.explain.matrix_data import CONTEXTS, placed, with_rows, write_rows
from xpo.explain.options import Option, options
from xpo.explain.probe import Probe, probe
from xpo.explain.stand_ins import Given, filled, stand_ins

Status = Literal["own", "changes", "equal", "refused", "needs"]


@dataclass(frozen=True)
class Entry:
    """One axis value put into one preset.

    ``own``: the preset's value. ``changes``: accepted, ``what`` says which of loss, gradient, data and
    schedule differ. ``equal``: accepted and the same, by a declaration that ``reason`` quotes, else by
    mistake. ``refused``: with its reason, and in ``nearest`` overrides with which it works. ``needs``: a
    setting that only a user can give.
    """

    algo: str
    where: str
    axis: str
    value: str
    status: Status
    what: tuple[str, ...] = ()
    reason: str = ""
    nearest: tuple[str, ...] = ()


def matrix(folder: Path, algos: Sequence[str] | None = None) -> list[Entry]:
    """Presets (all unless named) with every value of every axis; ``folder`` takes the few files needed."""
    rows = write_rows(folder)
    algos = presets() if algos is None else algos
    cache = f"cache={folder / 'cache'}"
    given = {
        where: [
            stand_ins([*with_rows(one, rows), cache], folder / where / str(n)) for n, one in enumerate(data)
        ]
        for where, data in CONTEXTS.items()
    }
    found: list[Entry] = []
    for algo in algos:
        for where in CONTEXTS:
            number, overrides = placed(algo, where, rows, given[where])
            config = assembled([*overrides, cache])
            found += _of_preset(algo, where, config, given[where][number])
    return found


def swapped(config: dict[str, Any], option: Option, given: Given) -> Iterator[dict[str, Any]]:
    """The config with one axis set to another option, as composing it anew would have it.

    One for each way to fill what the option leaves to its user.
    """
    for node in filled(config, option, given):
        yield {**config, option.group: node}


def with_swapped(base: Composition, group: str, config: dict[str, Any]) -> Composition:
    """The composition of a config that is another one in one group alone."""
    return dataclasses.replace(base, config=config, **{group: component(group, config[group])})


def _of_preset(algo: str, where: str, config: dict[str, Any], given: Given) -> Iterator[Entry]:
    try:
        base = build(config)
        probed = probe(base)
    except Refused as refusal:
        yield from _refused_here(algo, where, refusal.reason)
        return
    except UserError as error:
        yield from _refused_here(algo, where, _without_folders(str(error)))
        return
    for axis in AXES:
        for option in _options(axis):
            if option.name == config[axis]["name"]:
                yield Entry(algo, where, axis, option.name, "own")
            else:
                found = _outcome(base, probed, option, given)
                yield Entry(algo, where, axis, option.name, **found)


@cache
def _options(axis: str) -> list[Option]:
    """Read once."""
    return options(axis)


def _refused_here(algo: str, where: str, reason: str) -> Iterator[Entry]:
    """For a preset that these data cannot carry: there is nothing that an axis could change."""
    about = f"algo={algo}, whatever its axes: {reason}"
    for axis in AXES:
        for option in _options(axis):
            yield Entry(algo, where, axis, option.name, "refused", reason=about)


def _outcome(base: Composition, probed: Probe, option: Option, given: Given) -> dict[str, Any]:
    try:
        composition = _built(base, option, given)
    except Refused as refusal:
        return {"status": "refused", "reason": _without_folders(refusal.reason), "nearest": refusal.nearest}
    except ConfigError as error:
        return {"status": "needs", "reason": _without_folders(str(error))}
    try:
        what = probe(composition).changes(probed)
    except UserError as error:  # the rows of this context cannot carry it
        return {"status": "refused", "reason": _without_folders(str(error))}
    if what:
        return {"status": "changes", "what": tuple(what)}
    return {"status": "equal", "reason": declared_equal(base, composition, option.group)}


def _built(base: Composition, option: Option, given: Given) -> Composition:
    """The first that its components take; else the last's ``ConfigError``."""
    refused: ConfigError | None = None
    for config in swapped(base.config, option, given):
        try:
            changed = with_swapped(base, option.group, config)
            check(changed)
            return changed
        except Refused:
            raise
        except ConfigError as error:
            refused = error
    assert refused is not None, "there is at least one"
    raise refused


def _without_folders(reason: str) -> str:
    """The same wherever the files of the matrix were put."""
    return re.sub(r"(?<==)\S+/(gold|file)/\d\b", r"\1", re.sub(r"[^\s=]+/(?=rows\.jsonl)", "", reason))


def as_markdown(entries: list[Entry]) -> str:
    """A table per axis, then every refusal with its reason."""
    lines = [
        "# What combines",
        "",
        "Generated by `python -m xpo.explain.matrix docs/matrix.md`. Every preset with every value of every "
        "axis, probed on a few rows of the gold world and of a file.",
        "",
        "**own**: the preset's value. **L G D S**: accepted; it changes the loss, its gradient, the data, "
        "the schedule. **=**: accepted and the same by declaration. A number: refused, see the reasons "
        "below; with \\* it works together with another change, which the refusal names.",
    ]
    reasons: dict[str, int] = {}
    for axis in AXES:
        lines += ["", f"## {axis}", "", *_axis_table([e for e in entries if e.axis == axis], reasons)]
    lines += ["", "## Reasons", ""]
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    lines += ["", "<!-- What tests compare, preset by preset:", *_digests(entries), "-->"]
    return "\n".join(lines) + "\n"


def _digests(entries: list[Entry]) -> list[str]:
    algos = list(dict.fromkeys(entry.algo for entry in entries))
    return [digest(algo, [entry for entry in entries if entry.algo == algo]) for algo in algos]


def digest(algo: str, entries: Sequence[Entry]) -> str:
    """One line that says whether anything of a preset's entries is another."""
    told = [dataclasses.astuple(entry) for entry in entries]
    return f"{algo} {hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}"


def _axis_table(entries: list[Entry], reasons: dict[str, int]) -> list[str]:
    values = list(dict.fromkeys(entry.value for entry in entries))
    algos = list(dict.fromkeys(entry.algo for entry in entries))
    lines = ["| algo | " + " | ".join(values) + " |", "|---" * (len(values) + 1) + "|"]
    for algo in algos:
        cells = [
            _cell([e for e in entries if (e.algo, e.value) == (algo, value)], reasons) for value in values
        ]
        lines.append(f"| {algo} | " + " | ".join(cells) + " |")
    return lines


def _cell(entries: list[Entry], reasons: dict[str, int]) -> str:
    """One mark for both contexts, or one for each where they differ."""
    marks = [_mark(entry, reasons) for entry in entries]
    if len(set(marks)) == 1:
        return marks[0]
    return ", ".join(f"{entry.where} {mark}" for entry, mark in zip(entries, marks, strict=True))


def _mark(entry: Entry, reasons: dict[str, int]) -> str:
    if entry.status == "changes":
        return "".join(what[0].upper() for what in entry.what)
    if entry.status in ("refused", "needs"):
        reason = " ".join(entry.reason.split()).replace(f"{entry.axis}={entry.value}", f"{entry.axis}=...")
        number = reasons.setdefault(reason, len(reasons) + 1)
        return f"{number}\\*" if entry.nearest else str(number)
    return {"own": "own", "equal": "="}[entry.status]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        text = as_markdown(matrix(Path(scratch)))
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
