"""Every preset with every value of every axis: it changes something, or it is refused with a reason."""

from pathlib import Path

import pytest

from xpo.compose import build, compose_config, presets
from xpo.compose.groups import AXES
from xpo.explain.matrix import FILE, GOLD, Entry, as_markdown, matrix, swapped
from xpo.explain.options import options
from xpo.registry import component

DOCUMENT = Path(__file__).parent.parent / "docs" / "matrix.md"


@pytest.fixture(scope="module")
def entries(tmp_path_factory) -> list[Entry]:
    return matrix(tmp_path_factory.mktemp("matrix"))


def test_it_has_every_combination(entries):
    found = {(entry.algo, entry.where, entry.axis, entry.value) for entry in entries}
    assert found == {
        (algo, where, axis, option.name)
        for algo in presets()
        for where in ("gold", "file")
        for axis in AXES
        for option in options(axis)
    }


def test_an_accepted_override_changes_what_is_trained_or_declares_that_it_does_not(entries):
    assert [e for e in entries if e.status == "equal" and not e.reason] == []
    assert {e.axis for e in entries if e.status == "equal"} <= {"divergence"}


def test_a_refusal_has_a_reason_that_names_what_is_refused(entries):
    for entry in entries:
        if entry.status == "refused":
            assert len(entry.reason.split()) > 5, entry
            named = (entry.value, entry.axis, "rows.jsonl:")  # the option, or the row that cannot carry it
            assert any(word in entry.reason for word in named), entry


def test_dpo_accepts_two_values_or_more_on_at_least_seven_axes(entries):
    accepted = {"own", "changes", "equal"}
    mine = [e for e in entries if e.algo == "dpo" and e.status in accepted]
    wide = [axis for axis in AXES if len({e.value for e in mine if e.axis == axis}) >= 2]
    assert len(wide) >= 7, wide


def test_no_option_is_refused_everywhere(entries):
    """But for divergences that declare that no policy's reward can be read back from them."""
    for axis in AXES:
        for option in options(axis):
            mine = [e for e in entries if (e.axis, e.value) == (axis, option.name)]
            works = any(e.status in ("own", "changes", "equal") or _works_with_more(e) for e in mine)
            assert works or not getattr(component(axis, option.name), "invertible", True), (axis, option.name)


def _works_with_more(entry: Entry) -> bool:
    """The refusal names other groups to change, and with them the option stands."""
    return bool(entry.nearest) and not any(change.startswith(f"{entry.axis}=") for change in entry.nearest)


def test_what_a_refusal_names_works(entries):
    """The nearest combination composes, one refusal of every wording."""
    context = {"gold": list(GOLD), "file": [*FILE, "data.path=unread.jsonl"]}
    seen = {}
    for e in entries:
        if e.nearest:
            seen.setdefault((e.axis, " ".join(e.nearest)), e)
    for e in [entry for entry in seen.values() if "model" not in entry.value]:
        build(compose_config([f"algo={e.algo}", *context[e.where], f"{e.axis}={e.value}", *e.nearest]))


@pytest.mark.parametrize("choice", ["divergence=alpha", "margin=none", "sft=merged", "length=penalty"])
def test_swapping_an_option_is_composing_it(choice):
    axis, value = choice.split("=")
    option = next(option for option in options(axis) if option.name == value)
    for algo in ("simpo", "orpo"):
        config = compose_config([f"algo={algo}"])
        assert swapped(config, option, {}) == compose_config([f"algo={algo}", choice])


def test_the_document_is_up_to_date(entries):
    assert DOCUMENT.read_text(encoding="utf-8") == as_markdown(entries), (
        "docs/matrix.md is out of date: write it anew with python -m xpo.explain.matrix docs/matrix.md"
    )
