"""What the command line says of a group: exactly one option, and one that exists."""

from __future__ import annotations

from typing import Any

from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.groups import GROUPS


def check_choices(overrides: list[str]) -> None:
    """``ConfigError`` where a group is given nothing, null, several options or one that does not exist.

    Hydra would merge several options into one that nobody wrote, pass over an unknown experiment (it is
    optional), and end in its own traceback at null. Raises Hydra's error for an override it cannot parse.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for override in OverridesParser.create().parse_overrides(overrides):
        group, line = override.key_or_group, override.input_line or ""
        if group not in (*GROUPS, "algo", "experiment") or override.is_sweep_override():
            continue
        if override.is_delete():
            _check_delete(group, line)
        else:
            _check_choice(group, override.value(), line)


def _check_delete(group: str, line: str) -> None:
    if group != "experiment":
        raise ConfigError(f"{line}: a run has an option of every group. {listed(group)}")


def _check_choice(group: str, value: Any, line: str) -> None:
    from xpo.compose.compose import option_files

    if isinstance(value, list | dict):
        raise ConfigError(
            f"{line}: one option of a group at a time; a run for each of several: -m {group}=a,b. "
            f"{listed(group)}"
        )
    if value is None or value == "":
        raise ConfigError(f"{line}: an option is missing behind '='. {listed(group)}")
    if str(value) not in option_files(group):
        raise ConfigError(unknown_option(group, str(value)))


def unknown_option(group: str, option: str) -> str:
    """The message for an option that no yaml file of its group has."""
    from xpo.compose.compose import option_files

    hint = did_you_mean(option, option_files(group))
    return f"{group}={option}: no such option.{hint} {listed(group)}"


def listed(group: str) -> str:
    """``divergence has: alpha, chi2, ...``."""
    from xpo.compose.compose import option_files

    return f"{group} has: {', '.join(option_files(group)) or 'none'}."
