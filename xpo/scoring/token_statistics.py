"""What some methods read of whole next-token distributions: one number per token, from chunks of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.utils.checkpoint import checkpoint

from xpo.scoring.head import Head, Targets
from xpo.scoring.product import autocast_dtype, operand, wide_product

FORCED = 1e4
"""Log-probability that stands for "there is no other token": no loss can be gained against it."""


class TokenStatistic(Protocol):
    """From log p over the vocabulary, C tokens at a time, in float32 nats; absent tokens have -inf.

    ``differentiable``: its gradient reaches the policy. ``needs_reference``: it reads the reference's
    distribution too, which no cache of log-probabilities of tokens can give.
    """

    name: ClassVar[str]
    differentiable: ClassVar[bool]
    needs_reference: ClassVar[bool]

    def __call__(self, logp_CV: Tensor, ref_logp_CV: Tensor, token_C: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class ReferenceKL:
    """KL(ref || policy) of the next token. Zeng et al. 2024, arXiv 2404.11999, eq. 9."""

    name: ClassVar[str] = "kl_ref"
    differentiable: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = True

    def __call__(self, logp_CV: Tensor, ref_logp_CV: Tensor, token_C: Tensor) -> Tensor:
        possible = ref_logp_CV > -torch.inf  # 0 log 0 = 0, without a NaN in the gradient
        gap_CV = torch.where(possible, ref_logp_CV, 0.0) - torch.where(possible, logp_CV, 0.0)
        return (ref_logp_CV.exp() * gap_CV).sum(1)


@dataclass(frozen=True)
class Concentration:
    """log sum_v p_v^2: the log-probability that a sampled token has on average. arXiv 2406.11827, eq. 5."""

    name: ClassVar[str] = "log_sum_p2"
    differentiable: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False

    def __call__(self, logp_CV: Tensor, ref_logp_CV: Tensor, token_C: Tensor) -> Tensor:
        return torch.logsumexp(2 * logp_CV, 1)


@dataclass(frozen=True)
class Entropy:
    """-sum_v p_v log p_v, in nats."""

    name: ClassVar[str] = "entropy"
    differentiable: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = False

    def __call__(self, logp_CV: Tensor, ref_logp_CV: Tensor, token_C: Tensor) -> Tensor:
        return -(logp_CV.exp() * torch.where(logp_CV > -torch.inf, logp_CV, 0.0)).sum(1)


@dataclass(frozen=True)
class Rival:
    """log p of another token than the one that stands there, drawn from the ``top`` likeliest ones.

    Adolphs et al. 2022, arXiv 2211.05826, section 3. Where no other token is possible it is ``FORCED``.
    """

    name: ClassVar[str] = "rival"
    differentiable: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = False

    top: int = 5

    def __call__(self, logp_CV: Tensor, ref_logp_CV: Tensor, token_C: Tensor) -> Tensor:
        others_CV = logp_CV.detach().scatter(1, token_C[:, None], -torch.inf)
        best_CR, index_CR = others_CV.topk(min(self.top, others_CV.shape[1]), dim=1)
        noise_CR = -torch.empty_like(best_CR).exponential_().log()
        drawn_C1 = index_CR.gather(1, (best_CR + noise_CR).argmax(1, keepdim=True))
        picked_C = logp_CV.gather(1, drawn_C1).squeeze(1)
        return torch.where(best_CR[:, 0] > -torch.inf, picked_C, FORCED)


@dataclass(frozen=True, eq=False)
class Distributions:
    """What predicts E tokens: hidden states and the head over them."""

    hidden_ED: Tensor
    head: Head

    def logp(self, span: slice, targets: Targets) -> Tensor:
        """log p of some of the edges, CV, differentiable, in float32 at least, as ``edge_logp`` has it.

        ``targets`` are those of all edges.
        """
        logits_CV = _logits(self.hidden_ED[span], self.head)
        if targets.table_RV is not None and targets.row_E is not None:
            logits_CV = logits_CV.masked_fill(~targets.table_RV[targets.row_E[span]], -torch.inf)
        return log_softmax(logits_CV, 1)


def _logits(hidden_CD: Tensor, head: Head) -> Tensor:
    device = hidden_CD.device.type
    half = autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        logits_CV = wide_product(operand(hidden_CD, half), operand(head.weight_VD, half).t())
        if head.bias_V is not None:
            logits_CV = logits_CV + head.bias_V
        logits_CV = logits_CV * head.scale if head.scale != 1.0 else logits_CV
        return logits_CV if head.softcap is None else head.softcap * torch.tanh(logits_CV / head.softcap)


def token_statistics(
    wanted: tuple[TokenStatistic, ...],
    policy: Distributions,
    reference: Distributions | None,
    targets: Targets,
    chunk: int,
) -> dict[str, Tensor]:
    """Each statistic by name, E. ``chunk`` edges have logits at a time, in the backward pass too.

    Raises ``ValueError`` if one of them needs a reference and there is none, or one of another vocabulary.
    """
    _check(wanted, policy, reference)

    def values(span: slice, hidden_CD: Tensor) -> tuple[Tensor, ...]:
        here = cut(targets, span)
        logp_CV = Distributions(hidden_CD, policy.head).logp(slice(None), here)
        ref_logp_CV = logp_CV.detach() if reference is None else reference.logp(span, targets)
        return tuple(
            s(logp_CV if s.differentiable else logp_CV.detach(), ref_logp_CV, here.token_E) for s in wanted
        )

    count = len(policy.hidden_ED)
    learns = torch.is_grad_enabled() and any(s.differentiable for s in wanted)
    with torch.set_grad_enabled(learns):
        found = [
            checkpoint(values, span, policy.hidden_ED[span], use_reentrant=False)
            for span in (slice(start, min(start + chunk, count)) for start in range(0, count, chunk))
        ]
    none = policy.hidden_ED.new_zeros(0, dtype=torch.float32)
    columns = [torch.cat(column) for column in zip(*found, strict=True)] if found else [none for _ in wanted]
    return {statistic.name: column for statistic, column in zip(wanted, columns, strict=True)}


def _check(
    wanted: tuple[TokenStatistic, ...], policy: Distributions, reference: Distributions | None
) -> None:
    compares = [s.name for s in wanted if s.needs_reference]
    if compares and reference is None:
        raise ValueError(f"{compares[0]} compares with a reference's distributions, and none were given")
    if reference is None:
        return
    mine, theirs = len(policy.head.weight_VD), len(reference.head.weight_VD)
    if mine != theirs:
        raise ValueError(
            f"the policy's head has {mine} tokens and the reference's {theirs}: their next-token "
            "distributions cannot be compared"
        )


def cut(targets: Targets, span: slice) -> Targets:
    """The targets of some of the edges."""
    row_E = None if targets.row_E is None else targets.row_E[span]
    return Targets(targets.token_E[span], targets.table_RV, row_E)
