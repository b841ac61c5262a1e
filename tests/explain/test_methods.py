"""The methods page is what its command writes."""

from __future__ import annotations

from pathlib import Path

from xpo.claims.results import read_results
from xpo.explain.methods import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    written = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert written == page(read_results(DOCS / "claims.json")), (
        "docs/methods.md is out of date: write it anew with python -m xpo.explain.methods docs/methods.md"
    )
