"""Hydra's composition errors in our words: what is wrong, what is allowed, what was meant."""

from __future__ import annotations

import re

from xpo.compose.errors import did_you_mean
from xpo.compose.groups import GROUPS, ROOT_KEYS
from xpo.compose.overrides import listed, unknown_option


def explain_hydra_error(error: Exception, overrides: list[str]) -> str:
    """One paragraph for a user; falls back to Hydra's own text, with its cause."""
    text = str(error)
    return (
        _unknown_option(text)
        or _unknown_key(text, overrides)
        or _missing_value(text)
        or _missing_group(text)
        or _unquoted(overrides, text)
        or _with_cause(text, error)
    )


def _unknown_option(text: str) -> str | None:
    found = re.search(r"Could not find '([\w-]+)/([^']+)'", text)
    return None if found is None else unknown_option(*found.groups())


def _unknown_key(text: str, overrides: list[str]) -> str | None:
    found = re.search(r"Could not override '([^']+)'", text)
    if found is None:
        return None
    address = found.group(1)
    group, _, key = address.partition(".")
    if group not in GROUPS and group not in ROOT_KEYS:
        meant = _places(address) or did_you_mean(group, GROUPS)
        return f"nothing reads {address!r}: there is no group or key {group!r}.{meant}"
    return f"nothing reads {address!r}{_keys_hint(group, key, overrides)}"


def _places(key: str) -> str:
    """Where a key stands that was given without its group: ``beta`` is ``reward.beta``."""
    from xpo.compose.compose import options_of

    groups = [group for group in GROUPS if any(key in keys for keys in options_of(group).values())]
    return f" Did you mean {' or '.join(f'{group}.{key}' for group in groups)}?" if groups else ""


def _missing_value(text: str) -> str | None:
    if "Missing mandatory value" not in text:
        return None
    found = re.search(r"full_key: (\S+)", text)
    key = found.group(1) if found else "a value"
    return f"{key} is not set: give {key}=<value>"


def _unquoted(overrides: list[str], text: str) -> str | None:
    """Overrides within an override hold a sign that the grammar of lists has not."""
    inner = [one for one in overrides if re.search(r"\[[^\"']*=", one)]
    if "no viable alternative" not in text or not inner:
        return None
    address, _, items = inner[0].partition("=")
    quoted = ",".join(f'"{item.strip()}"' for item in items.strip("[] ").split(","))
    return f"{inner[0]}: what holds a '=' stands in quotes, and the whole too: '{address}=[{quoted}]'"


def _missing_group(text: str) -> str | None:
    found = re.search(r"You must specify '([\w-]+)', e\.g", text)
    if found is None:
        return None
    return (
        f"the preset sets no {found[1]}: every preset sets all 13 axes and an objective. {listed(found[1])}"
    )


def _keys_hint(group: str, key: str, overrides: list[str]) -> str:
    from xpo.compose.compose import options_of

    chosen = [o.split("=", 1)[1] for o in overrides if o.startswith(f"{group}=")]
    known = options_of(group)
    keys = sorted(known.get(chosen[-1], set()) if chosen else set().union(*known.values(), set()))
    words = ", ".join(k for k in keys if k != "name") or "none"
    if key in keys and not chosen:
        having = ", ".join(f"{group}={option}" for option, its in sorted(known.items()) if key in its)
        return f": the option of {group} that this run composes does not have it; {having} has."
    where = f"the option {group}={chosen[-1]} has" if chosen else f"the options of {group} have"
    return f": {where} these keys: {words}.{did_you_mean(key, [k for k in keys if k != 'name'])}"


def _with_cause(text: str, error: Exception) -> str:
    cause = error.__cause__
    return text if cause is None or str(cause) in text else f"{text} ({cause})"
