"""Weights of finished stages, for other runs of the same recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from xpo.model.loaded import fingerprint


def save_weights(path: Path, model: Any) -> None:
    """All weights of a module, with their hash; there is never half a file."""
    from safetensors.torch import save_model

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_model(model, str(partial), metadata={"fingerprint": fingerprint(model)})
    os.replace(partial, path)


def load_weights(path: Path, model: Any) -> bool:
    """Load what was saved; False (and nothing loaded) if the file is damaged."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_model

    try:
        with safe_open(str(path), "pt") as file:
            expected = (file.metadata() or {}).get("fingerprint")
        load_model(model, str(path))
    except (SafetensorError, OSError):
        return False
    return fingerprint(model) == expected
