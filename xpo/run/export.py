"""``model/``: the trained policy as a Hugging Face folder, which the next run takes as its ``model.path``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from xpo.run.card import Card, model_card
from xpo.run.files import OutputError, write_text
from xpo.scoring.support import Support


def export_model(
    model: Any,
    tokenizer: Any,
    directory: Path,
    card: Card,
    generation: Mapping[str, Any] | None = None,
    beside: Callable[[Path], None] | None = None,
) -> Path:
    """Write weights (safetensors), config, tokenizer with its chat template, generation settings and card.

    ``model`` is what the adapter's ``export`` gave: a transformers model, or a peft model, of which the
    adapter alone is written. ``generation`` is added to the generation settings (see
    ``support_settings``), ``beside`` writes further files into the folder. The folder is replaced as a
    whole; ``OutputError`` if it cannot be.
    """

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        generation_settings(model, tokenizer, generation or {}).save_pretrained(folder)
        write_text(folder / "README.md", model_card(card))
        if beside is not None:
            beside(folder)

    return whole_folder(directory, write)


def whole_folder(directory: Path, write: Callable[[Path], None]) -> Path:
    """Replace a folder by what ``write`` puts into a new one; ``OutputError`` if it cannot be."""
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write(temporary)
        if directory.exists():
            shutil.rmtree(directory)
        os.replace(temporary, directory)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OutputError(f"cannot write the model folder {directory}: {error.strerror or error}") from error
    return directory


def generation_settings(model: Any, tokenizer: Any, extra: Mapping[str, Any]) -> Any:
    """The model's generation settings with the tokenizer's special tokens where it has none of its own."""
    import copy

    settings = copy.deepcopy(model.generation_config)
    defaults = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    }
    unset = {key: value for key, value in defaults.items() if getattr(settings, key) is None}
    settings.update(**unset, **extra)
    return settings


def support_settings(support: Support, eos_id: int) -> dict[str, Any]:
    """Generation settings that keep a model within an enumerable support whose end is forced.

    ``generate`` knows tokens that are never allowed, tokens that are not at first, and the longest length.
    """
    allowed_TV = support.allowed_TV.cpu()
    ever_V = allowed_TV.any(0)
    first_V = ever_V & ~allowed_TV[0]
    settings: dict[str, Any] = {"suppress_tokens": torch.nonzero(~ever_V).flatten().tolist()}
    if bool(first_V.any()):
        settings["begin_suppress_tokens"] = torch.nonzero(first_V).flatten().tolist()
    if support.forced_from is not None:
        settings |= {"max_new_tokens": support.forced_from + 1, "forced_eos_token_id": eos_id}
    return {key: value for key, value in settings.items() if value != []}
