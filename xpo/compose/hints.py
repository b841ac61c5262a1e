"""Hydra's composition errors in our words: what is wrong, what is allowed, what was meant."""

from __future__ import annotations

import re

from xpo.compose.errors import did_you_mean
from xpo.compose.groups import GROUPS, ROOT_KEYS


def explain_hydra_error(error: Exception, overrides: list[str]) -> str:
    """One paragraph for a user; falls back to Hydra's own text, with its cause."""
    text = str(error)
    return (
        _unknown_option(text)
        or _unknown_key(text, overrides)
        or _missing_value(text)
        or _with_cause(text, error)
    )


def _unknown_option(text: str) -> str | None:
    from xpo.compose.compose import option_files

    found = re.search(r"Could not find '([\w-]+)/([^']+)'", text)
    if found is None:
        return None
    group, option = found.groups()
    known = option_files(group)
    listed = ", ".join(known) or "none"
    return f"{group}={option}: no such option. {group} has: {listed}.{did_you_mean(option, known)}"


def _unknown_key(text: str, overrides: list[str]) -> str | None:
    found = re.search(r"Could not override '([^']+)'", text)
    if found is None:
        return None
    address = found.group(1)
    group, _, key = address.partition(".")
    if group not in GROUPS and group not in ROOT_KEYS:
        return f"nothing reads {address!r}: there is no group or key {group!r}.{did_you_mean(group, GROUPS)}"
    return f"nothing reads {address!r}{_keys_hint(group, key, overrides)}"


def _missing_value(text: str) -> str | None:
    if "Missing mandatory value" not in text:
        return None
    found = re.search(r"full_key: (\S+)", text)
    key = found.group(1) if found else "a value"
    return f"{key} is not set: give {key}=<value>"


def _keys_hint(group: str, key: str, overrides: list[str]) -> str:
    from xpo.compose.compose import options_of

    chosen = [o.split("=", 1)[1] for o in overrides if o.startswith(f"{group}=")]
    known = options_of(group)
    keys = sorted(known.get(chosen[-1], set()) if chosen else set().union(*known.values(), set()))
    listed = ", ".join(k for k in keys if k != "name") or "none"
    where = f"the option {group}={chosen[-1]}" if chosen else f"the options of {group}"
    return f": {where} has these keys: {listed}.{did_you_mean(key, keys)}"


def _with_cause(text: str, error: Exception) -> str:
    cause = error.__cause__
    return text if cause is None or str(cause) in text else f"{text} ({cause})"
