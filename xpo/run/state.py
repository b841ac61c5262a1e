"""What a run keeps for the one that takes it up again: read whole, or told what is wrong and what works."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from xpo.run.files import OutputError

_DAMAGES = (OSError, EOFError, zipfile.BadZipFile, RuntimeError, ValueError, LookupError, TypeError)
ANEW = "begin anew with trainer.resume=never"


def round_fix(number: int) -> str:
    """What works where a file of a round is of no use."""
    began = "" if number == 1 else f"-{number}"
    return (
        f"Take away what round {number} and later ones left in this folder (samples-, labels-, comparisons- "
        f"and round-{number:03d}.pt, align{began} and so on), and they are done again; or {ANEW}"
    )


def load_state(path: Path, fix: str, read: Callable[[Any], Any]) -> Any:
    """``read`` of what ``torch.save`` wrote; ``OutputError`` for a file that is missing or damaged.

    ``fix`` says what works then.
    """

    def load() -> Any:
        with zipfile.ZipFile(path) as file:  # sums of bytes, which torch does not look at
            broken = file.testzip()
        if broken is not None:
            raise ValueError(f"{broken} has other bytes than were written")
        return torch.load(path, weights_only=True)

    return _told(path, fix, load, read)


def load_json(path: Path, fix: str, read: Callable[[Any], Any]) -> Any:
    """The same of a JSON file."""
    return _told(path, fix, lambda: json.loads(path.read_text(encoding="utf-8")), read)


def _told(path: Path, fix: str, load: Callable[[], Any], read: Callable[[Any], Any]) -> Any:
    if not path.is_file():
        raise OutputError(f"{path} is missing. {fix}.")
    try:
        return read(load())
    except pickle.UnpicklingError as error:  # whose text is advice for who trusts the file
        raise OutputError(f"{path} is damaged: it holds no plain tensors. {fix}.") from error
    except _DAMAGES as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise OutputError(f"{path} is damaged ({why:.120}). {fix}.") from error
