"""A sequence classifier from a folder or the hub: nothing random in it, and its config read first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpo.errors import UserError
from xpo.model.hf import find, load_tokenizer, require_whole
from xpo.model.loaded import silence, silence_config
from xpo.model.scorer import CLASSIFIES, architectures, config_of
from xpo.reward_model.folder import KEY, Meaning


@dataclass(frozen=True, eq=False)
class Classifier:
    """As it was loaded; ``meaning`` None: xpo did not write it."""

    model: Any
    tokenizer: Any
    meaning: Meaning | None


def told(path: str, key: str) -> Meaning | None:
    """What a local folder's config.json says of its numbers, without loading it; None if nothing is known.

    A hub name, and a folder that is not there yet, say nothing here. Raises ``UserError`` that names ``key``
    for a folder that is no classifier.
    """
    config = config_of(path, key)
    return None if config is None else _meaning(config, f"{key}={path}")


def _meaning(config: dict[str, Any], where: str) -> Meaning | None:
    names = architectures(config, where)
    if names and not any(name.endswith(CLASSIFIES) for name in names):
        raise UserError(
            f"{where} is a {names[0]}, which has no head that scores a response: give the model/ of a run "
            f"with reward=head, or another ...{CLASSIFIES}"
        )
    window = config.get("max_position_embeddings", 1)
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise UserError(
            f"{where}: max_position_embeddings in its config.json must be at least 1, got {window!r:.40}"
        )
    node = config.get(KEY)
    return None if node is None else Meaning.read(node, where)


def load_classifier(path: str, key: str, attention: str) -> Classifier:
    """``UserError`` names ``key``, and what is missing; weights are read from safetensors alone."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source, where = find(path, key), f"{key}={path}"
    try:
        config: Any = AutoConfig.from_pretrained(source)
        silence_config(config)
        meaning = _meaning(config.to_dict(), where)
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            source,
            config=config,
            dtype="auto",
            attn_implementation=attention,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # told below, by name
            output_loading_info=True,
        )
    except UserError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        here = (
            ""
            if Path(source).is_dir()
            else f"there is no folder {path}, and of the hub's model of that name "
        )
        raise UserError(f"{where}: {here}no reward model could be loaded: {lines[0]}") from error
    model, found = loaded
    require_whole(found, where)
    _check_finite(model, where)
    silence(model)
    tokenizer = load_tokenizer(source, key, revision="main", trust_remote_code=False)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(f"{where}: the tokenizer has {len(tokenizer)} tokens, the model embeds only {rows}")
    return Classifier(model.eval(), tokenizer, meaning)


def _check_finite(model: Any, where: str) -> None:
    head = model.__dict__["_modules"].get("score")  # another name is told where the head is read
    if head is not None and not all(weight.isfinite().all() for weight in head.parameters()):
        raise UserError(f"{where}: the weights of its head (score) are not all finite: take another folder")
