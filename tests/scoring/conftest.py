"""Random models of four shapes, ragged token rows, and the naive way to score them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.contracts import Batch, StepTotals
from xpo.scoring.pack import pack

VOCABULARY = 40
SHAPES = ("llama", "qwen2", "qwen3", "gpt2")
Rows = Sequence[tuple[list[int], list[list[int]]]]

ROWS: dict[str, Rows] = {
    "B1 K1": [([1, 5, 6], [[7, 8, 2]])],
    "B1 K2, one token each": [([1], [[7], [8]])],
    "B2 K2, unequal lengths": [
        ([1, 5, 6, 7], [[7, 8, 9, 10, 2], [11, 2]]),
        ([1, 9], [[3, 2], [12, 13, 14, 2]]),
    ],
    "B3 K3, shared first tokens": [
        ([1, 5], [[7, 8, 9, 2], [7, 8, 10, 2], [7, 2]]),
        ([1, 6, 6, 6, 6], [[7, 8, 2], [9, 2], [7, 8, 2]]),
        ([1], [[30, 2], [31, 32, 33, 34, 35, 2], [30, 31, 2]]),
    ],
    "B2, ragged K, one is another's prefix": [([1, 4], [[7, 8], [7, 8, 9, 9], [7]]), ([1, 3, 3], [[5, 2]])],
    "B1 K3, identical": [([1, 2, 3], [[9, 9, 2]] * 3)],
}


@pytest.fixture(params=ROWS, ids=lambda name: name)
def rows(request: pytest.FixtureRequest) -> Rows:
    return ROWS[request.param]


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    def build(rows: Rows, **options: Any) -> Batch:
        packed, mask_BKT = pack(rows, pad_id=options.pop("pad_id", 0), **options)
        weight_B = torch.ones(len(rows))
        totals = StepTotals(rows=len(rows), tokens=float(mask_BKT.sum()), micro_batches=1)
        return Batch(packed, mask_BKT, weight_B, torch.arange(len(rows)), totals)

    return build


@pytest.fixture
def model_of() -> Callable[..., Any]:
    def build(shape: str, seed: int = 0, dtype: torch.dtype = torch.float32, **more: Any) -> Any:
        from transformers import AutoConfig, AutoModelForCausalLM

        sizes = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        if shape == "gpt2":
            sizes |= {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
        else:
            sizes |= {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "head_dim": 4}
            sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2}
        attention = more.pop("attention", "sdpa")
        torch.manual_seed(seed)
        config = AutoConfig.for_model(shape, **sizes, **more)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).to(dtype).eval()
        with torch.no_grad():  # far from uniform, so that a wrong token or position shows
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        return model

    return build


@pytest.fixture(params=SHAPES)
def model(request: pytest.FixtureRequest, model_of: Callable[..., Any]) -> Any:
    return model_of(request.param)


@pytest.fixture
def naive() -> Callable[..., Tensor]:
    """One unpadded row per response through the whole model, log-softmax, the token's entry."""

    def logp(model: Any, rows: Rows, mask_BKT: Tensor) -> Tensor:
        values = []
        for b, (prompt, responses) in enumerate(rows):
            for k, response in enumerate(responses):
                logits = model(input_ids=torch.tensor([prompt + response])).logits[0].float()
                for t, token in enumerate(response):
                    values.append((b, k, t, logits[len(prompt) - 1 + t].log_softmax(-1)[token]))
        out = torch.zeros(mask_BKT.shape)
        for b, k, t, value in values:
            out = out.index_put((torch.tensor(b), torch.tensor(k), torch.tensor(t)), value)
        return out

    return logp
