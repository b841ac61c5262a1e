"""Exported folders, used as anybody would: through transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from xpo.annotator.base import Desk
from xpo.claims.real_data.statistics import ranking_accuracy
from xpo.contracts import Row

_NEW_TOKENS = 8


def load_exported(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a run's ``model/``."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def answer(folder: Path, prompt: str) -> list[int]:
    """Greedy tokens after a prompt; ``ValueError`` if the exported model gives none, or nonsense."""
    model, tokenizer = load_exported(folder)
    inputs = tokenizer(prompt, return_tensors="pt")
    out_BS = model.generate(**inputs, max_new_tokens=_NEW_TOKENS, do_sample=False)
    tokens = out_BS[0, inputs["input_ids"].shape[1] :].tolist()
    if not tokens or max(tokens) >= len(tokenizer):
        raise ValueError(f"{folder}: the exported model answered {prompt!r} with tokens {tokens}")
    return tokens


def held_out_lists(run: Path) -> list[Row]:
    """The test rows of a finished run, made again from its config by its own data layer."""
    from xpo.compose import build

    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    composition = build(config)
    model, tokenizer = load_exported(run / "model")
    source = composition.data.open(composition, Desk.of(composition))
    source.tokenize(tokenizer, int(model.config.max_position_embeddings))
    return list(source.rows(None, composition.objective.needs).test)


def mean_logps(folder: Path, rows: Sequence[Row]) -> list[list[float]]:
    """``mean_logp`` of every list under an exported model."""
    model, _ = load_exported(folder)
    return [mean_logp(model, row) for row in rows]


def gains(
    mine: Sequence[Sequence[float]], other: Sequence[Sequence[float]], rows: Sequence[Row], tie: float = 0.0
) -> list[float]:
    """By list, how much better ``mine`` orders the responses by their scores than ``other`` does.

    Lists without two different scores are left out; ``ValueError`` for rows without scores.
    """
    found = []
    for a, b, row in zip(mine, other, rows, strict=True):
        if row.scores is None:
            raise ValueError(f"{row.source}: a ranking is judged by scores, and this row has none")
        pair = ranking_accuracy(a, row.scores, tie), ranking_accuracy(b, row.scores, tie)
        if pair[0] is not None and pair[1] is not None:
            found.append(pair[0] - pair[1])
    return found


@torch.no_grad()
def mean_logp(model: Any, row: Row) -> list[float]:
    """Mean log-probability per response token (nats), each response in a row of its own."""
    start, width = len(row.prompt), max(map(len, row.responses))
    texts = [[*row.prompt, *response, *[0] * (width - len(response))] for response in row.responses]
    ids_KS = torch.tensor(texts)
    logp_KSV = model(input_ids=ids_KS).logits[:, start - 1 : -1].float().log_softmax(-1)
    logp_KT = logp_KSV.gather(2, ids_KS[:, start:, None]).squeeze(2)
    return [logp_T[: len(r)].mean().item() for logp_T, r in zip(logp_KT, row.responses, strict=True)]
