"""A run that begins anew in the folder of an earlier one takes away what that one left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xpo.run.files import OutputError

LEFT = (
    "summary.json",  # first: without it no run is finished
    "checkpoints",
    "model",
    "reference",
    "reward_model",
    "reward_model-[0-9][0-9][0-9]",
    "held_out_reward_model",
    "metrics.jsonl",
    "samples.jsonl",
    "scores.jsonl",
    "token_rewards.jsonl",
    "token_rewards.html",
    "society.jsonl",
    "revisions.jsonl",
    "csv",
    "tensorboard",
    "manifest.json",
)
"""Names that runs write, in the order in which they go.

What people said (``to_label.jsonl``), what a judge was paid (``judge.json``) and whatever else is there stay.
"""
TAKEN = ".taken-away"


def begin_anew(out: Path, config: Mapping[str, Any]) -> None:
    """Take away what an earlier run left in a folder; one that no run wrote is left as it is.

    Everything goes at once, as far as a run that is killed can see. Raises ``OutputError`` where this run
    reads something of it.
    """
    taken = out / TAKEN
    if taken.is_dir():  # of a run that was killed here
        shutil.rmtree(taken)
    if not all((out / name).is_file() for name in ("config.yaml", "manifest.json")):
        return
    there = [path for name in LEFT for path in sorted(out.glob(name))]
    for path in there:
        _check_unread(path, config)
    try:
        taken.mkdir()
        for path in there:
            os.replace(path, taken / path.name)
        shutil.rmtree(taken)
    except OSError as error:
        raise OutputError(
            f"trainer.resume=never cannot take away what lies in {out}: {error.strerror or error}"
        ) from error


def _check_unread(path: Path, config: Mapping[str, Any]) -> None:
    place = path.resolve()
    for key, text in _texts(config):
        if text and Path(os.path.abspath(os.path.expanduser(text))).resolve().is_relative_to(place):
            raise OutputError(
                f"trainer.resume=never takes away {path}, which {key}={text} reads. Choose another folder "
                "with hydra.run.dir=<folder>"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a config with its key; of an override within it the value."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "name":  # of an option, as reference is of sampling
                continue
            yield from _texts(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str) and "\n" not in value:
        yield key, value.rpartition("=")[2]
