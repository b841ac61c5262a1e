"""A small causal language model with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from xpo.errors import UserError
from xpo.model.hf import load_tokenizer
from xpo.model.loaded import Loaded, fingerprint, silence
from xpo.model.tokens import require_special, train_bpe
from xpo.registry import register


@register("model", "scratch")
@dataclass(frozen=True)
class Scratch:
    """An architecture by its sizes, initialised from the run's seed.

    ``tokenizer=train`` trains byte-level BPE of ``vocab_size`` tokens on the run's own texts; a path takes
    that folder's tokenizer. Data that bring a tokenizer (the gold world) overrule both.
    """

    scores_responses: ClassVar[bool] = False  # it is no reward model

    model_type: Literal["llama", "qwen2", "qwen3", "gpt2"] = "llama"
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int | None = None
    intermediate: int | None = None
    vocab_size: int = 2048
    max_length: int = 1024
    tie_embeddings: bool = True
    tokenizer: str = "train"
    attention: Literal["sdpa", "eager"] = "sdpa"
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for key in ("hidden", "layers", "heads", "vocab_size", "max_length"):
            _positive(key, getattr(self, key))
        for key in ("kv_heads", "intermediate"):
            if getattr(self, key) is not None:
                _positive(key, getattr(self, key))
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden must be a multiple of 2 * heads = {2 * self.heads}, got {self.hidden}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"kv_heads must divide heads = {self.heads}, got {self.kv_heads}")
        if self.model_type == "gpt2" and self.kv_heads not in (None, self.heads):
            raise ValueError(f"kv_heads must be null or heads = {self.heads} for gpt2, got {self.kv_heads}")

    def load(
        self, *, seed: int, texts: Callable[[], Iterable[str]] | None = None, tokenizer: Any = None
    ) -> Loaded:
        """Random weights around the given, trained or loaded tokenizer."""
        if tokenizer is None:
            tokenizer = self._tokenizer(texts)
        elif self.tokenizer != "train":
            raise UserError(f"model.tokenizer={self.tokenizer} is not read: these data bring their tokenizer")
        model = self.build(tokenizer, seed)
        return Loaded(model, tokenizer, untrained=True, fingerprint=fingerprint(model))

    def build(self, tokenizer: Any, seed: int) -> Any:
        """The model alone, its vocabulary the tokenizer's; the global random state is left as it was."""
        from transformers import AutoModelForCausalLM

        require_special(tokenizer, "model=scratch")
        config = self._config(tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(
                config, attn_implementation=self.attention, dtype=getattr(torch, self.dtype)
            )
        silence(model)
        return model.eval()

    def _tokenizer(self, texts: Callable[[], Iterable[str]] | None) -> Any:
        if self.tokenizer != "train":
            return load_tokenizer(self.tokenizer, "model.tokenizer")
        if texts is None:
            raise UserError(
                "model.tokenizer=train needs texts, and this run's data give none; "
                "set model.tokenizer to a folder"
            )
        return train_bpe(texts(), self.vocab_size)

    def _config(self, tokenizer: Any) -> Any:
        from transformers import AutoConfig

        special = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "vocab_size": len(tokenizer),
            "tie_word_embeddings": self.tie_embeddings,
        }
        wide = self.intermediate or 4 * self.hidden
        if self.model_type == "gpt2":
            sizes: dict[str, Any] = {
                "n_embd": self.hidden,
                "n_layer": self.layers,
                "n_head": self.heads,
                "n_inner": wide,
                "n_positions": self.max_length,
                "resid_pdrop": 0.0,
                "embd_pdrop": 0.0,
                "attn_pdrop": 0.0,
            }
        else:
            sizes = {
                "hidden_size": self.hidden,
                "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads,
                "num_key_value_heads": self.kv_heads or self.heads,
                "head_dim": self.hidden // self.heads,
                "intermediate_size": wide,
                "max_position_embeddings": self.max_length,
            }
        return AutoConfig.for_model(self.model_type, **special, **sizes)


def _positive(key: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{key} must be at least 1, got {value}")
