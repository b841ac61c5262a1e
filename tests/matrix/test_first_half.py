"""One half of the presets against every axis value."""

from __future__ import annotations

import pytest

from tests.matrix import checks
from xpo.explain.matrix import Entry, matrix

ALGOS = checks.half(0)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    return matrix(tmp_path_factory.mktemp("matrix"), ALGOS)


def test_every_combination_is_there(entries: list[Entry]) -> None:
    checks.check_complete(entries, ALGOS)


def test_what_is_accepted_has_an_effect(entries: list[Entry]) -> None:
    checks.check_effects(entries)


def test_a_refusal_says_why(entries: list[Entry]) -> None:
    checks.check_reasons(entries)


def test_what_a_refusal_names_works(entries: list[Entry]) -> None:
    checks.check_nearest(entries)


def test_the_document_is_up_to_date(entries: list[Entry]) -> None:
    checks.check_document(entries, ALGOS)
