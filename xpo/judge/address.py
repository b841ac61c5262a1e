"""Where an endpoint is, and what opens it: neither may carry a secret into a file."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit


def checked_url(url: str) -> str:
    """The base URL without a slash at its end; ``ValueError`` if it is none, or would carry a secret."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for a port that is no number)
    except ValueError as error:
        raise ValueError(f"url is no address: {error}") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            "url must have no user, password, query or fragment: configs are written to files; name the "
            "environment variable of a key with key_variable"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url must be like http://127.0.0.1:8000/v1 or https://host/v1, got {url}")
    if parts.path.rstrip("/").endswith("/completions"):
        raise ValueError(f"url is what stands before /chat/completions, such as https://host/v1, got {url}")
    return url.rstrip("/")


def checked_key(variable: str | None) -> str | None:
    """The API key that an environment variable holds. Messages never show it."""
    if variable is None:
        return None
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
        raise ValueError(
            "key_variable is the name of an environment variable (capitals, digits, _), never the key itself"
        )
    key = os.environ.get(variable)
    if not key:
        raise ValueError(
            f"key_variable={variable}: no such environment variable is set; export {variable}=..."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"key_variable={variable}: its value holds characters that no API key has")
    return key
