"""Beam search for the response that a policy finds likeliest, or that its implicit reward is highest for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.decode.next_token import NextToken, allowed
from xpo.scoring.support import Support


@dataclass(frozen=True)
class Beam:
    """``width`` unfinished responses are kept. ``ends``: tokens that end one.

    ``top_k``: only the policy's likeliest next tokens are tried (null: all); where both models find a token
    next to impossible, their ratio says nothing. ``support`` restricts responses to an enumerable world's.
    """

    ends: frozenset[int]
    width: int = 8
    max_new_tokens: int = 64
    top_k: int | None = None
    support: Support | None = None

    def __post_init__(self) -> None:
        for name in ("width", "max_new_tokens", "top_k"):
            value = self.__dict__[name]
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not self.ends:
            raise ValueError("ends must name at least one token, got none")


@dataclass(frozen=True)
class Found:
    """A response as token ids and its value in nats; ``finished`` if it came to its end."""

    tokens: tuple[int, ...]
    value: float
    finished: bool


def likelihood_search(prompt: Sequence[int], policy: Any, beam: Beam) -> list[Found]:
    """The responses with the highest log policy, best first, at most ``width``.

    Under a policy that was trained as DPO is, it is a search by the soft Q function. Rafailov et al. 2024,
    arXiv 2404.12358, section 4.
    """
    return _search(prompt, policy, None, (1.0, 0.0), beam)


def reward_search(prompt: Sequence[int], policy: Any, reference: Any, beta: float, beam: Beam) -> list[Found]:
    """The same with the highest implicit reward beta (log policy - log reference).

    A prefix is kept by the rewards of its own tokens: for ``width`` below the number of all prefixes a
    greedy search. Raises ``ValueError`` for models of two vocabularies.
    """
    return _search(prompt, policy, reference, (beta, -beta), beam)


@torch.no_grad()
def _search(
    prompt: Sequence[int], policy: Any, reference: Any, weights: tuple[float, float], beam: Beam
) -> list[Found]:
    models = [NextToken(model) for model in (policy, reference) if model is not None]
    device = next(policy.parameters()).device
    ids_BS, value_B = torch.tensor([list(prompt)], device=device), torch.zeros(1, device=device)
    done: list[Found] = []
    for index in range(beam.max_new_tokens):
        gain_BV = _gain([model(ids_BS) for model in models], weights, beam, index)
        value_BV = value_B[:, None] + gain_BV
        ends = torch.tensor(sorted(beam.ends), device=device)
        done += _finished(ids_BS[:, len(prompt) :], value_BV, ends)
        done = sorted(done, key=lambda found: -found.value)[: beam.width]
        flat = value_BV.index_fill(1, ends, -torch.inf).flatten()
        count = min(beam.width, int((flat > -torch.inf).sum()))
        value_B, place_B = flat.topk(count)
        row_B, token_B = place_B // gain_BV.shape[1], place_B % gain_BV.shape[1]
        for model in models:
            model.keep(row_B)
        ids_BS = torch.cat([ids_BS[row_B], token_B[:, None]], 1)
        if not count:
            break
    cut = [
        Found(tuple(row), v, False) for row, v in zip(_rest(ids_BS, prompt), value_B.tolist(), strict=True)
    ]
    return (done + cut)[: beam.width]


def _gain(logps: list[Tensor], weights: tuple[float, float], beam: Beam, index: int) -> Tensor:
    """What each next token adds to a response's value; minus infinity where it may not stand."""
    if len({logp_BV.shape for logp_BV in logps}) > 1:
        sizes = " and ".join(str(logp_BV.shape[1]) for logp_BV in logps)
        raise ValueError(f"policy and reference have {sizes} tokens: their ratio needs one vocabulary")
    logps = [allowed(logp_BV, beam.support, index) for logp_BV in logps]
    possible_BV = logps[0] > -torch.inf
    if beam.top_k is not None and beam.top_k < logps[0].shape[1]:
        possible_BV &= logps[0] >= logps[0].topk(beam.top_k, 1).values[:, -1:]
    parts = [weight * torch.where(possible_BV, p, 0.0) for weight, p in zip(weights, logps, strict=False)]
    return torch.stack(parts).sum(0).masked_fill(~possible_BV, -torch.inf)


def _finished(response_BT: Tensor, value_BV: Tensor, ends: Tensor) -> list[Found]:
    """Every response that one of the ends would end here."""
    found = []
    for row, values in zip(response_BT.tolist(), value_BV[:, ends].tolist(), strict=True):
        for token, value in zip(ends.tolist(), values, strict=True):
            if value > -float("inf"):
                found.append(Found((*row, token), value, True))
    return found


def _rest(ids_BS: Tensor, prompt: Sequence[int]) -> list[list[int]]:
    return ids_BS[:, len(prompt) :].tolist()
