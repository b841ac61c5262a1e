"""Whether what lies in a run's folder is the same run, begun earlier."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import yaml

from xpo.compose.groups import GROUPS
from xpo.run.files import OutputError
from xpo.run.summary import read_summary
from xpo.written import written

IDLE = frozenset(
    f"trainer.{key}"
    for key in ("accelerator", "checkpoint_every", "keep_checkpoints", "log_every", "resume", "threads")
)
"""Keys that may differ between a run and its continuation, beside the group ``logger``."""
CHOOSING = frozenset({"schedule.keep_best"})
"""Keys that may differ, too, as long as there is no result that they have chosen."""
SHOWN = 4
TRAINED = frozenset({".ckpt", ".pt"})
"""Suffixes of what a run leaves that goes on: checkpoints, weights and samples of rounds."""


def check_same_run(config: Mapping[str, Any], out: Path) -> None:
    """``OutputError`` if the folder holds a result, checkpoints or samples of another config.

    Going on would train one method from another's weights, optimizer or responses, and say nothing.
    """
    path = out / "config.yaml"
    left = {path.suffix for path in (out / "checkpoints").rglob("*")}
    begun = (out / "summary.json").is_file() or bool(left & TRAINED)
    if not (path.is_file() and begun):
        return
    done = read_summary(out)
    idle = IDLE if done is not None and done["status"] == "done" else IDLE | CHOOSING
    differences = _differences(_read(path), yaml.safe_load(yaml.safe_dump(dict(config))), idle)
    if differences:
        more = f" (and {len(differences) - SHOWN} more)" if len(differences) > SHOWN else ""
        raise OutputError(
            f"{out} holds a run of another config: {'; '.join(differences[:SHOWN])}{more}. Choose another "
            "folder with hydra.run.dir=<folder>, or begin anew in this one with trainer.resume=never."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    return config if isinstance(config, dict) else {}


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], idle: AbstractSet[str]) -> list[str]:
    """``key was value, is value``; of a group with another option, the option alone."""
    found = [] if there.get("seed") == here["seed"] else [_told("seed", there.get("seed"), here["seed"])]
    for group in GROUPS:
        old, new = there.get(group) or {}, here[group]
        if group == "logger":
            continue
        if old.get("name") != new["name"]:
            found.append(_told(group, old.get("name"), new["name"]))
            continue
        keys = [key for key in {**old, **new} if f"{group}.{key}" not in idle]
        found += [_told(f"{group}.{k}", old.get(k), new.get(k)) for k in keys if old.get(k) != new.get(k)]
    return found


def _told(key: str, old: Any, new: Any) -> str:
    return f"{key} was {written(old)}, is {written(new)}"
