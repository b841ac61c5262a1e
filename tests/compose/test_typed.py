"""Types as a user would say them."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from xpo.compose.typed import describe


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tuple[str, ...], "a list of texts"),
        (tuple[float, ...] | None, "a list of numbers or null"),
        (tuple[int, ...], "a list of whole numbers"),
        (tuple[dict[str, Any], ...], "a list of mappings"),
        (str | tuple[str, ...], "a text or a list of texts"),
        (Literal["a", "b"], "one of a, b"),
        (float, "a number"),
    ],
)
def test_a_type_in_words(kind: Any, said: str) -> None:
    assert describe(kind) == said
