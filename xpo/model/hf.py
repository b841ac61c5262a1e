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
from xpo.model.scorer import load_scorer, scores_responses
from xpo.model.tokens import require_same, require_special
from xpo.registry import register

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@register("model", "hf")
@dataclass(frozen=True)
class HuggingFace:
    """``path``: a local folder (an earlier run's ``model/`` too) or ``owner/name`` on the hub.

    A local folder of a reward model is where a run with reward=head can begin: trunk and head go on.
    ``dtype=auto`` keeps the checkpoint's type. Dropout is set to 0 everywhere. Code that a checkpoint
    brings runs only with ``trust_remote_code=true``.
    """

    path: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    trust_remote_code: bool = False

    @property
    def scores_responses(self) -> bool:
        """Whether it is a reward model, which predicts no token."""
        return scores_responses(self.path)

    def load(
        self, *, seed: int, texts: Callable[[], Iterable[str]] | None = None, tokenizer: Any = None
    ) -> Loaded:
        """Weights and tokenizer; ``UserError`` says what is missing in the folder or on the hub."""
        if self.scores_responses:
            loaded = load_scorer(self.path, "model.path", self.attention, self.dtype)
        else:
            loaded = load_pretrained(self, "model.path")
        if tokenizer is not None:
            require_same(loaded.tokenizer, tokenizer, f"model.path={self.path}")
        return loaded


def load_pretrained(option: HuggingFace, key: str) -> Loaded:
    """What the option names; ``key`` is the config key that messages blame."""
    source, where = find(option.path, key), f"{key}={option.path}"
    if scores_responses(source, key):
        raise UserError(f"{where} is a reward model: it scores responses and predicts no token")
    if option.revision is not None and Path(source).is_dir():
        raise UserError(
            f"{where} is a local folder, which has no revisions; leave "
            f"{key.replace('path', 'revision')}={option.revision} away"
        )
    access = {"revision": option.revision or "main", "trust_remote_code": option.trust_remote_code}
    tokenizer = load_tokenizer(source, key, **access)
    model = _load_model(option, source, where, access)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(f"{where}: the tokenizer has {len(tokenizer)} tokens, the model embeds only {rows}")
    return Loaded(model, tokenizer, untrained=False, fingerprint=fingerprint(model))


def _load_model(option: HuggingFace, source: str, where: str, access: dict[str, Any]) -> Any:
    from pickle import UnpicklingError

    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = option.dtype if option.dtype == "auto" else getattr(torch, option.dtype)
    try:
        config = AutoConfig.from_pretrained(source, **access)
        silence_config(config)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            attn_implementation=option.attention,
            ignore_mismatched_sizes=True,  # told below, by name
            output_loading_info=True,
            **access,
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"{where}: no causal language model could be loaded: {_first_line(error)}") from error
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{where}: its weights cannot be read ({_first_line(error)}); fetch them again"
        ) from error
    model, found = loaded
    require_whole(found, where)
    silence(model)
    return model.eval()


def require_whole(found: dict[str, Any], where: str) -> None:
    """``UserError`` for loading information that tells of gaps.

    transformers fills a weight that is missing or of another shape with random numbers.
    """
    odd = [(name, "is missing") for name in found["missing_keys"]]
    odd += [
        (name, f"has shape {tuple(there)}, not {tuple(due)}") for name, there, due in found["mismatched_keys"]
    ]
    if odd:
        name, what = min(odd)
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise UserError(f"{where}: its weights are not those of its config.json: {name} {what}{more}")


def find(path: str, key: str) -> str:
    """A local model folder or a hub name; ``UserError`` if it is neither."""
    if not path:
        raise UserError(f"{key} is empty: give a local folder, or owner/name on the hub")
    folder = Path(path).expanduser()
    if folder.is_file():
        raise UserError(f"{key}={path} is a file; give the folder of config.json and the weights")
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            raise UserError(
                f"{key}={path}: the folder holds a LoRA adapter alone, without the model that it belongs to; "
                "merge the two (adapter.merge=true does so when a run exports) and give that folder"
            )
        if not (folder / "config.json").is_file():
            there = (folder / "model" / "config.json").is_file()  # a run's folder
            hint = f". Did you mean {key}={path.rstrip('/')}/model?" if there else ""
            raise UserError(f"{key}={path}: the folder has no config.json: no Hugging Face model{hint}")
        return str(folder)
    return _hub_name(path, key)


def load_tokenizer(path: str, key: str, **options: Any) -> Any:
    """A folder's or hub name's tokenizer with EOS and pad; ``UserError`` if there is none."""
    from transformers import AutoTokenizer

    folder = Path(path).expanduser()
    source = str(folder) if folder.is_dir() else _hub_name(path, key)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        here = "" if folder.is_dir() else f"there is no folder {path}, and of the hub's model of that name "
        raise UserError(f"{key}={path}: {here}no tokenizer could be loaded: {_first_line(error)}") from error
    require_special(tokenizer, f"{key}={path}")
    return tokenizer


def _hub_name(path: str, key: str) -> str:
    if not _HUB_NAME.fullmatch(path) or path.startswith("."):
        raise UserError(f"{key}={path}: there is no such folder, and it is no hub name (owner/name)")
    return path


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
