"""What probes share: made once where the same was read, and the probes are those of nothing shared."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from xpo.compose import build
from xpo.compose.assembled import assembled
from xpo.compose.composition import Composition
from xpo.explain import ground, watched
from xpo.explain.matrix_data import CONTEXTS, with_rows, write_rows
from xpo.explain.probe import Probe, probe
from xpo.explain.watched import Memory


def composed(*overrides: str) -> Composition:
    return build(assembled([*overrides]))


DPO, JS, KTO = composed(), composed("divergence=js"), composed("algo=kto")


def made_of(read: Any, *compositions: Composition) -> list[int]:
    """Which of the things made each composition gets."""
    memory = Memory(lambda c: (read(c), object()))
    found = [memory(c)[1] for c in compositions]
    return [found.index(one) for one in found]


@pytest.mark.parametrize(
    ("read", "which"),
    [
        (lambda c: c.length, [0, 0, 0]),
        (lambda c: c.divergence.linear, [0, 1, 0]),
        (lambda c: c.feedback if c.divergence.linear else None, [0, 1, 2]),
        (lambda c: c.needs, [0, 0, 2]),
        (lambda c: c.config["cache"], [0, 0, 0]),
        (lambda c: c.config.get("divergence"), [0, 1, 0]),
        (lambda c: c.choice("feedback"), [0, 0, 2]),
        (lambda c: len(c.config), [0, 1, 2]),
        (lambda c: copy.deepcopy(c.config)["cache"], [0, 1, 2]),
        (lambda c: c.components()["length"], [0, 1, 2]),
        (lambda c: copy.copy(c).length, [0, 1, 2]),
        (lambda c: dataclasses.replace(c, seed=1).length, [0, 1, 2]),
        (repr, [0, 1, 2]),
    ],
)
def test_a_composition_gets_what_was_made_of_one_that_reads_alike(read: Any, which: list[int]) -> None:
    assert made_of(read, DPO, JS, KTO) == which
    assert made_of(read, DPO, dataclasses.replace(DPO)) == [0, 0]


def test_what_reads_on_cannot_be_shared() -> None:
    memory = Memory(lambda c: lambda: c.length)
    with pytest.raises(RuntimeError, match="still reads it"):
        memory(DPO)()


def test_errors_are_raised_anew() -> None:
    def fails(c: Composition) -> None:
        raise ValueError(c.option("length"))

    memory = Memory(fails)
    for c in (DPO, DPO):
        with pytest.raises(ValueError, match="sum"):
            memory(c)


SAMPLED = ["", "divergence=js", "algo=kto", "sft=merged", "reference=none", "length=mean"]
WHOLE = ["algo=rloo", "algo=rloo divergence=js", "algo=rloo sft=merged", "algo=raft schedule=online"]
FAMILIES = {
    "rows of the gold world": (CONTEXTS["gold"][0], SAMPLED),
    "rows of a file": (CONTEXTS["file"][0], [*SAMPLED, "arity=list"]),
    "rollouts and their rows": (CONTEXTS["gold"][1], WHOLE),
}


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "_GROUNDS", Memory(ground._made))
    monkeypatch.setattr(ground, "_POLICIES", {})


def combinations(family: str, folder: Path) -> list[Composition]:
    data, overrides = FAMILIES[family]
    rows = with_rows(data, write_rows(folder))
    return [composed(*one.split(), *rows, f"cache={folder / 'cache'}") for one in overrides]


def alike(one: Probe, other: Probe) -> bool:
    return (one.loss, one.data) == (other.loss, other.data) and torch.equal(one.gradient, other.gradient)


@pytest.mark.parametrize("family", FAMILIES)
def test_probes_that_share_are_those_that_do_not(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order, so that no probe changes what the next one stands on."""
    compositions = combinations(family, tmp_path)
    forget(monkeypatch)
    there = [probe(c) for c in compositions]
    back = [probe(c) for c in reversed(compositions)]
    for c, one, other in zip(compositions, there, reversed(back), strict=True):
        forget(monkeypatch)
        alone = probe(c)
        assert alike(one, alone) and alike(other, alone), c.config["algo"]


def test_a_note_that_is_missing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it forgotten which data were read, another world's rows would be taken."""
    c = combinations("rows of the gold world", tmp_path)[0]
    other = dataclasses.replace(c, data=dataclasses.replace(c.data, seed=1))
    forget(monkeypatch)
    assert not alike(probe(c), probe(other))
    note = watched._Notes.part
    monkeypatch.setattr(watched._Notes, "part", lambda self, name: name == "data" or note(self, name))
    forget(monkeypatch)
    assert alike(probe(c), probe(other))
