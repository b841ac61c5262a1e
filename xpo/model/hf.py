"""A causal language model from a Hugging Face folder or hub name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from xpo.errors import UserError
from xpo.model.loaded import Loaded, fingerprint, silence, silence_config
from xpo.model.tokens import require_same, require_special
from xpo.registry import register

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@register("model", "hf")
@dataclass(frozen=True)
class HuggingFace:
    """``path``: a local folder (an earlier run's ``model/`` too) or ``owner/name`` on the hub.

    ``dtype=auto`` keeps the checkpoint's type. Dropout is set to 0 everywhere. Code that a checkpoint
    brings runs only with ``trust_remote_code=true``.
    """

    path: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    trust_remote_code: bool = False

    def load(
        self, *, seed: int, texts: Callable[[], Iterable[str]] | None = None, tokenizer: Any = None
    ) -> Loaded:
        """Weights and tokenizer; ``UserError`` says what is missing in the folder or on the hub."""
        source = find(self.path)
        own = load_tokenizer(source, **self._options())
        if tokenizer is not None:
            require_same(own, tokenizer, source)
        model = self._model(source)
        rows = model.get_input_embeddings().weight.shape[0]
        if len(own) > rows:
            raise UserError(
                f"{source}: the tokenizer has {len(own)} tokens, but the model embeds only {rows}"
            )
        return Loaded(model, own, untrained=False, fingerprint=fingerprint(model))

    def _options(self) -> dict[str, Any]:
        return {"revision": self.revision or "main", "trust_remote_code": self.trust_remote_code}

    def _model(self, source: str) -> Any:
        from transformers import AutoConfig, AutoModelForCausalLM

        dtype = self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        try:
            config = AutoConfig.from_pretrained(source, **self._options())
            silence_config(config)
            model = AutoModelForCausalLM.from_pretrained(
                source, config=config, dtype=dtype, attn_implementation=self.attention, **self._options()
            )
        except (OSError, ValueError, ImportError) as error:
            reason = _first_line(error)
            raise UserError(
                f"model.path={source}: no causal language model could be loaded: {reason}"
            ) from error
        silence(model)
        return model.eval()


def find(path: str) -> str:
    """A local model folder or a hub name; ``UserError`` if it is neither."""
    folder = Path(path).expanduser()
    if folder.is_file():
        raise UserError(f"model.path={path} is a file; give the folder of config.json and the weights")
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"model.path={path}: the folder has no config.json: no Hugging Face model")
        return str(folder)
    if not _HUB_NAME.fullmatch(path) or path.startswith("."):
        raise UserError(f"model.path={path}: there is no such folder, and it is no hub name (owner/name)")
    return path


def load_tokenizer(source: str, **options: Any) -> Any:
    """A folder's or hub name's tokenizer with EOS and pad; ``UserError`` if there is none."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: no tokenizer could be loaded: {_first_line(error)}") from error
    require_special(tokenizer, source)
    return tokenizer


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
