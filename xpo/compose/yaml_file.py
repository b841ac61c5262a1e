"""A yaml file of conf/, with its place in the error where it is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from xpo.compose.errors import ConfigError


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping that the file holds, empty for an empty file. ``ConfigError`` names file and line."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is not in every build
    try:
        with path.open(encoding="utf-8") as file:
            content = yaml.load(file, loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise broken_yaml(error, str(path)) from error
    if not isinstance(content, dict | None):
        raise ConfigError(f"{path}: must hold keys with values, got {content!r:.60}")
    return content or {}


def broken_yaml(error: Exception, path: str = "") -> ConfigError:
    """One line of what the parser says in six."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ConfigError(f"{path}: not valid YAML: {error}".removeprefix(": "))
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return ConfigError(f"{path or mark.name}:{mark.line + 1}: not valid YAML: {problem}")
