"""What a model option hands over, and what holds for every one of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

_DROPOUT_KEY = re.compile(r"(drop|dropout|layerdrop)(_?(p|prob|rate|prob\w*))?$|_pdrop$")


@dataclass(frozen=True)
class Loaded:
    """A causal language model in eval mode without dropout, its tokenizer, and where its weights came from.

    ``untrained``: the weights are random, so that alignment needs an SFT stage first. ``fingerprint`` is
    the hash of the weights as they were loaded.
    """

    model: Any
    tokenizer: Any
    untrained: bool
    fingerprint: str
    head: Any = None  # of a reward model that the run begins with (xpo.model.scorer.Start)


class ModelOption(Protocol):
    """A component of the group ``model``.

    ``texts`` gives the run's own texts, and is called only by an option that trains a tokenizer on them.
    ``tokenizer`` is one that the data bring (the gold world's): a model that has another is refused.
    """

    def load(
        self, *, seed: int, texts: Callable[[], Iterable[str]] | None = None, tokenizer: Any = None
    ) -> Loaded: ...


def fingerprint(model: nn.Module, without: str | None = None) -> str:
    """SHA-256 over names, shapes, types and bytes of all parameters; tied ones count once.

    ``without``: leave out parameters with this in their name (an adapter's).
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if without is not None and without in name:
            continue
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        digest.update(_bytes(parameter.detach()))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def best_device() -> torch.device:
    """The accelerator where there is one."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if found is None else found


def silence_config(config: Any) -> None:
    """Set every dropout probability of a transformers config to 0, before the model is built from it.

    Log-ratios compare two passes over the same tokens: dropout in either adds noise to every one.
    """
    for key, value in config.to_dict().items():
        if isinstance(value, float | int) and not isinstance(value, bool) and _DROPOUT_KEY.search(key):
            setattr(config, key, 0.0)


def silence(model: nn.Module) -> None:
    """Set dropout to 0 in every module: layers, and probabilities kept as plain attributes."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for key, value in vars(module).items():
            if isinstance(value, float) and _DROPOUT_KEY.search(key):
                setattr(module, key, 0.0)
