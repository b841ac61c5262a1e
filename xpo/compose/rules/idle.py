"""A reason about settings that nobody reads."""

from __future__ import annotations

from xpo.compose.asked import asked
from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason
from xpo.written import written


def idle(c: Composition, group: str, keys: list[str], who: str) -> Reason | None:
    """Of settings that were asked for and that ``who`` does not read."""
    changes = asked(c, group, *keys)
    if not changes:
        return None
    names = " and ".join(
        f"{group}.{key}={written(vars(c.components()[group])[key])}"
        for key in keys
        if any(change.startswith(f"{group}.{key}=") for change in changes)
    )
    return Reason(f"{names} would change nothing: {who} does not read it.", (group,), changes)
