"""Which path a model can take, and the check of it at start-up."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.errors import UserError
from xpo.scoring.parts import accepts, decoder, evaluating, unwrap
from xpo.scoring.plain import unpacked
from xpo.scoring.score import Scoring

# Attention that adds whatever 4D float mask it is given.
_MASKED = ("sdpa", "eager")
# What configs declare of layers that see less, or other, than all earlier tokens.
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention")
_RECURRENT = ("state_size", "ssm_state_size", "mamba_d_state", "linear_conv_kernel_dim", "lru_width")

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 0.25, torch.float16: 0.05}
"""Largest difference of two log-probs, in nats, that rounding may make: relative to 1 + |logp|."""


def choose_path(model: Any) -> tuple[Literal["shared", "plain"], str]:
    """The path that the model's declared features allow, and why.

    Sharing a prefix needs attention under any mask and positions that are given, not counted.
    """
    inner, config = decoder(model), unwrap(model).config
    declared = config.get_text_config().to_dict()
    reason = _refusal(inner, config, declared)
    return ("plain", reason) if reason else ("shared", "full attention under a given mask, given positions")


def _refusal(inner: Any, config: Any, declared: dict[str, Any]) -> str:
    kinds = sorted({kind for kind in declared.get("layer_types") or [] if kind != "full_attention"})
    attention = config._attn_implementation
    reasons = {
        "it keeps a recurrent state": inner._is_stateful or _set(declared, _RECURRENT),
        f"it has layers of type {', '.join(kinds)}": kinds,
        f"its attention is local ({_set(declared, _WINDOWS)})": _set(declared, _WINDOWS),
        "its attention is biased by distance in the row (ALiBi)": declared.get("alibi"),
        "its forward takes no position_ids": not accepts(inner, "position_ids"),
        "its forward takes no attention_mask": not accepts(inner, "attention_mask"),
        f"its attention ({attention}) takes no mask; sdpa and eager do": attention not in _MASKED,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _set(declared: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The keys that the config sets to something."""
    return ", ".join(f"{key} = {declared[key]}" for key in keys if declared.get(key))


@torch.no_grad()
def self_check(model: Any, batch: Batch, scoring: Scoring) -> tuple[Scoring, str]:
    """Compare the scoring pass with the model's own forward pass on one batch.

    Returns the scoring to run with and what to tell the user: the given one if it agrees, the plain path
    if only that does. Raises ``UserError`` if neither does (logits changed after the head in a way that
    xpo does not know).
    """
    plain = dataclasses.replace(scoring, path="plain")
    with evaluating(model):
        oracle_BKT = _own_logp(model, batch, scoring)
        error = _error(model, batch, scoring, oracle_BKT)
        if error <= 1:
            return scoring, f"the {scoring.path} path agrees with the model's own forward pass"
        if scoring.path == "shared" and _error(model, batch, plain, oracle_BKT) <= 1:
            return plain, (
                f"SLOW PATH: shared prefixes change this model's log-probs ({error:.1f} x the tolerance), "
                "so every response runs as a row of its own"
            )
    raise UserError(
        f"the log-probs of {type(unwrap(model)).__name__} differ from its own forward pass by {error:.1f} x "
        "the tolerance: its logits are not what its output head gives, and xpo cannot score it"
    )


def _error(model: Any, batch: Batch, scoring: Scoring, oracle_BKT: Tensor) -> float:
    """Largest difference in units of the tolerance; infinite where one is not finite."""
    tolerance = TOLERANCE[unwrap(model).dtype]
    difference = (scoring(model, batch) - oracle_BKT).abs() / (1 + oracle_BKT.abs())
    worst = float(difference.nan_to_num(nan=float("inf")).max())
    return worst / tolerance


def _own_logp(model: Any, batch: Batch, scoring: Scoring) -> Tensor:
    """Log-probs from the logits that the whole model gives for ordinary rows."""
    packed = batch.packed
    ids_RS, length_R, where_E = unpacked(packed, batch.token_BKT)
    at_S = torch.arange(ids_RS.shape[1], device=ids_RS.device)
    rows: list[Tensor] = []
    for row in range(len(ids_RS)):  # one by one: whole logits are large
        mask_S = (at_S < length_R[row]).long()
        rows.append(model(input_ids=ids_RS[row : row + 1], attention_mask=mask_S[None]).logits[0])
    logits_EV = torch.cat(rows)[where_E].float() / scoring.temperature
    if scoring.support is not None:
        allowed_EV = scoring.support.table(ids_RS.device)[scoring.support.rows(packed.edge_depth_E)]
        logits_EV = logits_EV.masked_fill(~allowed_EV, float("-inf"))
    logp_E = logits_EV.log_softmax(-1).gather(1, packed.edge_token_E[:, None]).squeeze(1)
    return torch.where(batch.mask_BKT, logp_E[packed.edge_BKT], 0.0)
