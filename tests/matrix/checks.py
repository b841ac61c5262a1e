"""Every preset with every value of every axis: it changes something, or it is refused with a reason.

Two files take half of the presets each, so that two processes share the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from xpo.compose import build, presets
from xpo.compose.assembled import assembled
from xpo.compose.groups import AXES
from xpo.explain.left_open import open_keys
from xpo.explain.matrix import Entry, digest, matrix
from xpo.explain.matrix_data import UNREAD, in_context
from xpo.explain.options import options

DOCUMENT = Path(__file__).parents[2] / "docs" / "matrix.md"


def half(number: int) -> list[str]:
    """Every second preset."""
    return presets()[number::2]


def asked_for(chosen: dict[str, str]) -> list[str]:
    """What chosen options leave to their user."""
    return [
        f"{group}.{key}={UNREAD[0][key]}"
        for group, name in chosen.items()
        if "." not in group
        for option in options(group)
        if option.name == name
        for key in open_keys(option.settings)
    ]


class MatrixTests:
    """What is asked of a part of the matrix; a subclass names its presets."""

    algos: ClassVar[list[str]]

    @pytest.fixture(scope="class")
    @classmethod
    def entries(cls, tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
        return matrix(tmp_path_factory.mktemp("matrix"), cls.algos)

    def test_every_combination_is_there(self, entries: list[Entry]) -> None:
        found = {(entry.algo, entry.where, entry.axis, entry.value) for entry in entries}
        assert found == {
            (algo, where, axis, option.name)
            for algo in self.algos
            for where in ("gold", "file")
            for axis in AXES
            for option in options(axis)
        }

    def test_what_is_accepted_has_an_effect(self, entries: list[Entry]) -> None:
        """Or declares that it has none."""
        assert [e for e in entries if e.status == "equal" and not e.reason] == []

    def test_a_refusal_says_why(self, entries: list[Entry]) -> None:
        """Its reason names what is refused."""
        for entry in entries:
            if entry.status == "refused":
                assert len(entry.reason.split()) > 5, entry
                # the option, the row or setting of the data that does not go with it, or the whole preset
                named = (entry.value, entry.axis, "rows.jsonl:", "gold:", "data.mode", f"algo={entry.algo}")
                assert any(word in entry.reason for word in named), entry

    def test_what_a_refusal_names_works(self, entries: list[Entry]) -> None:
        """It composes, one refusal of every wording."""
        seen: dict[tuple[str, str], Entry] = {}
        for e in entries:
            if e.nearest:
                seen.setdefault((e.axis, " ".join(e.nearest)), e)
        for e in [entry for entry in seen.values() if entry.value not in ("model", "adapter")]:
            chosen = dict(one.split("=", 1) for one in (f"{e.axis}={e.value}", *e.nearest))
            taken = in_context(e.algo, e.where, Path("unread.jsonl"))
            kept = [one for one in taken if one.partition(".")[0] not in chosen]
            build(assembled([*kept, f"{e.axis}={e.value}", *e.nearest, *asked_for(chosen)]))

    def test_the_document_is_up_to_date(self, entries: list[Entry]) -> None:
        lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
        stale = [a for a in self.algos if digest(a, [e for e in entries if e.algo == a]) not in lines]
        assert not stale, f"out of date for {stale}: run python -m xpo.explain.matrix docs/matrix.md"
