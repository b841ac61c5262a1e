"""The two parts of a causal language model that scoring runs itself: its decoder and its output head."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from xpo.scoring.head import Head

# Where transformers' configs declare what happens to logits after the head. A model that does something
# else is caught by the start-up check against its own forward pass.
_MULTIPLIES = ("logit_scale", "lm_head_multiplier")
_DIVIDES = ("logits_scaling",)
_SOFTCAP = "final_logit_softcapping"


def unwrap(model: Any) -> Any:
    """The transformers model below a peft wrapper (adapters stay in place inside it)."""
    peft = sys.modules.get("peft")  # seconds to import; whoever wrapped the model has done it
    if peft is None or not isinstance(model, peft.PeftModel):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise ValueError(
            f"{model.active_peft_config.peft_type} adds virtual tokens, which scoring does not run; use LoRA"
        )
    return model.get_base_model()


def decoder(model: Any) -> nn.Module:
    """The model without its output head: token ids to last hidden states.

    Raises ``ValueError`` for an encoder-decoder or a model without a decoder of its own.
    """
    inner = unwrap(model)
    if inner.config.is_encoder_decoder:
        raise ValueError(f"{type(inner).__name__} is an encoder-decoder; xpo aligns causal language models")
    if inner.base_model is inner:
        raise ValueError(f"{type(inner).__name__} has no decoder below an output head; load a causal LM")
    return inner.base_model


def accepts(module: nn.Module, argument: str) -> bool:
    """Whether the module's forward names this argument."""
    return argument in inspect.signature(module.forward).parameters


def output_head(model: Any) -> Head:
    """The output head as it stands now: another adapter or a switched-off one gives another head.

    Raises ``ValueError`` if the head is no linear layer, such as one that carries a LoRA of its own.
    """
    inner = unwrap(model)
    layer = inner.get_output_embeddings()
    if hasattr(layer, "modules_to_save"):  # peft's trainable copy of a whole layer
        off = layer.disable_adapters
        layer = layer.original_module if off else layer.modules_to_save[layer.active_adapter]
    if type(layer) is not nn.Linear:
        raise ValueError(
            f"the output head of {type(inner).__name__} is a {type(layer).__name__}, no linear layer; "
            "leave it out of adapter.target_modules"
        )
    config = inner.config.to_dict()
    scale = 1.0
    for key in _MULTIPLIES:
        scale *= config.get(key) or 1.0
    for key in _DIVIDES:
        scale /= config.get(key) or 1.0
    return Head(layer.weight, layer.bias, scale, config.get(_SOFTCAP))


@contextmanager
def output_idle(model: Any, idle: bool = True) -> Iterator[None]:
    """What predicts tokens does not train where nothing reads it (``idle``), unless it embeds them too."""
    inner = unwrap(model)
    found = [inner.get_output_embeddings().weight] if idle else []
    still = [w for w in found if w.requires_grad and w is not inner.get_input_embeddings().weight]
    for weight in still:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in still:
            weight.requires_grad_(True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards every module as it was."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
