"""Tokens per second of K responses to each prompt: one shared prefill against K separate rows.

    python benchmarks/sampling.py [--prompts 2] [--repeats 3] [--threads 2]

The separate rows are transformers' own ``generate`` with each prompt K times in its batch. Both sides draw
64 tokens (no EOS) at temperature 1 to prompts of 1,024 random tokens, from the same Llama of about 8 million
parameters with 8,000 tokens, in turns in one process; the best of each counts. The
shared side also keeps room in its cache for the tokens to come, where transformers copies all of it for each.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

RESPONSES, PROMPT, NEW, VOCABULARY = 8, 1024, 64, 8000
NEEDED = 1.5
"""The ratio that a shared prefill must reach."""


def policy() -> Any:
    """A random model; its tokenizer is asked for ids alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from xpo.sampler.policy import Policy
    from xpo.scoring.score import Scoring

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    return Policy(model, NoTokens(), Scoring())


class NoTokens:
    """What the engine reads of a tokenizer."""

    eos_token_id, pad_token_id = None, 0


def separate(policy: Any, prompts: list[list[int]]) -> int:
    """Every response is a row of its own from the beginning."""
    import torch

    ids_RP = torch.tensor(prompts).repeat_interleave(RESPONSES, 0)
    out_RS = policy.model.generate(
        input_ids=ids_RP,
        attention_mask=torch.ones_like(ids_RP),
        do_sample=True,
        top_k=0,
        max_new_tokens=NEW,
        pad_token_id=policy.pad,
    )
    return (out_RS.shape[1] - PROMPT) * len(ids_RP)


def shared(policy: Any, prompts: list[list[int]]) -> int:
    """The engine as runs use it."""
    import torch

    from xpo.sampler.base import Draw
    from xpo.sampler.generate import Generate

    draw = Draw(RESPONSES, max_new_tokens=NEW, tokens=len(prompts) * RESPONSES * (PROMPT + NEW))
    found = Generate()(policy, prompts, draw, torch.Generator().manual_seed(0))
    return sum(len(tokens) for row in found.responses for tokens in row)


def rate(draw: Callable[[Any, list[list[int]]], int], policy: Any, prompts: list[list[int]]) -> float:
    """Tokens per second of one run."""
    begin = time.perf_counter()
    tokens = draw(policy, prompts)
    return tokens / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    model = policy()
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, VOCABULARY, (args.prompts, PROMPT), generator=generator).tolist()
    sides = {"shared": shared, "separate": separate}
    best = dict.fromkeys(sides, 0.0)
    with torch.no_grad():
        for _ in range(args.repeats):
            best = {side: max(best[side], rate(draw, model, prompts)) for side, draw in sides.items()}
    size = sum(p.numel() for p in model.model.parameters()) / 1e6
    print(f"{size:.1f} million parameters, {args.prompts} prompts, K={RESPONSES}, {args.threads} threads")
    for side, value in best.items():
        print(f"{side:9} {value:8.1f} tokens/s")
    print(f"ratio     {best['shared'] / best['separate']:8.2f}   (needed: {NEEDED})")


if __name__ == "__main__":
    main()
