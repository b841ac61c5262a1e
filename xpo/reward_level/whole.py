"""Levels whose responses are whole: they end in EOS, and nothing is said of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xpo.data.record import Record


class Whole:
    """``units`` are the records themselves."""

    of_parts: ClassVar[bool] = False  # a policy gradient's rewards stand where parts of responses end
    ends: ClassVar[bool] = True  # responses are whole: they end in EOS
    by_spans: ClassVar[bool] = False  # reads spans, which the data alone bring
    labels_parts: ClassVar[bool] = False  # its settings say what labels of parts are good

    def units(self, records: Sequence[Record], nested: bool) -> list[Record]:
        """What is labelled as one: the responses."""
        return list(records)

    def check(self, records: Sequence[Record]) -> None:
        """Nothing to object to."""
