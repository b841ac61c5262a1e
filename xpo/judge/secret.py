"""What a server sends back never carries a key into a file or a message."""

from __future__ import annotations

import re
from functools import lru_cache

HIDDEN = "[key]"


def hidden(text: str, key: str | None) -> str:
    """The text with ``[key]`` for the key, as it is or in JSON's escapes, also those of JSON within JSON."""
    return text if key is None else _pattern(key).sub(HIDDEN, text)


@lru_cache(maxsize=8)
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile("".join(rf"\\*(?:{re.escape(c)}|(?<=\\)u(?i:{ord(c):04x}))" for c in key))
