"""What can be wrong with data."""

from __future__ import annotations

from xpo.compose.errors import ConfigError


class DataError(ConfigError):
    """Data that cannot be read, or that say something impossible; the message names file and line."""


class BadRow(DataError):
    """One malformed row. ``data.on_bad_row=skip`` counts it under ``kind`` instead of stopping."""

    def __init__(self, where: str, kind: str, problem: str, example: str = "") -> None:
        self.kind = kind
        hint = f"\nA valid row: {example}" if example else ""
        super().__init__(f"{where}: {problem}{hint}\n(data.on_bad_row=skip counts such rows and goes on)")


class BarePrompt(DataError):
    """A prompt without responses, where given ones are trained on; ``where`` is its file and line."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        super().__init__(f"{where}: a prompt without responses, and {why}")
