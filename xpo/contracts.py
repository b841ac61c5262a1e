"""What the parts of xpo hand to each other.

Legend, once, for every file: B prompts, K responses per prompt, T response tokens, S positions of a
packed row, E edges (one scored token each), P prompt tokens, V vocabulary, always in this order.
A suffix says the shape (``reward_BK``). ``mask_BKT`` is true where a token trains. Floats are
natural-log units (nats) unless said.

Comparisons are a mass matrix: ``prefer_BKK[b, i, j]`` is the mass of "response i was preferred over
response j". A pair with the preferred response first is ``[[0, 1], [0, 0]]``, a soft label p is
``[[0, p], [1 - p, 0]]``, a list is all its ordered pairs, and the gold world's population is
``ref_i ref_j P(i beats j)``. It sums to 1 over each prompt, so every pair loss is
``(prefer_BKK * f(gap_BKK)).sum((1, 2))``. Binary feedback is ``good_BK`` and ``bad_BK``, masses too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from xpo.movable import Movable


@dataclass(frozen=True)
class Row:
    """One tokenised training row: a prompt and its K responses, the preferred one first.

    Every response ends in EOS unless it was cut; at least one token each. Feedback that a row has no use for
    is None. Masses follow the module docstring.
    """

    prompt: Sequence[int]
    responses: Sequence[Sequence[int]]
    prefer: Sequence[Sequence[float]] | None = None  # K x K
    good: Sequence[float] | None = None  # K
    bad: Sequence[float] | None = None  # K
    demo: Sequence[float] | None = None  # K: what a likelihood term imitates, sums to 1
    scores: Sequence[float] | None = None  # K, higher is better
    mass: Sequence[float] | None = None  # K: how often a scored response is drawn, sums to 1; None: equally
    wins: Sequence[Sequence[float]] | None = None  # K x K: P(i beats j), any preference
    margins: Sequence[Sequence[float]] | None = None  # K x K: how much better i is than j, as the data say
    costs: Sequence[float] | None = None  # K, positive is unsafe
    rivals: Sequence[float] | None = None  # K: 1 for a sample of another player, else 0
    skip: int = 0  # leading tokens of every response that do not train: a prefix that they share
    weight: float = 1.0
    source: str = ""  # "file:line", for messages and samples


@dataclass(frozen=True)
class Packed(Movable):
    """Token rows as a trie: the prompt once, then every distinct response prefix once, in preorder.

    Position i is seen by position j of the same row iff ``i <= j < end[i]``: ``end_BS`` is one past
    the last descendant of i in preorder (prompt positions: the row's length; padding: i + 1). A
    response's last token is predicted, never fed. Edge e predicts ``edge_token_E[e]`` from the flat
    position ``edge_node_E[e]`` (index into B*S); ``edge_BKT`` maps each response token to its edge
    (0 where there is none), ``prompt_edge_BP`` each prompt token after the first (or None). ``node_BKT`` is
    where each response token itself stands, in rows that are fed whole.
    """

    input_ids_BS: Tensor
    position_BS: Tensor
    end_BS: Tensor
    edge_node_E: Tensor
    edge_token_E: Tensor
    edge_depth_E: Tensor  # t: index of the predicted token within its response; -1 for prompt tokens
    edge_BKT: Tensor
    prompt_edge_BP: Tensor | None = None
    node_BKT: Tensor | None = None


@dataclass(frozen=True)
class StepTotals:
    """Denominators of one optimizer step, summed over its micro-batches and all ranks."""

    rows: float  # sum of weight_B
    tokens: float  # sum of weight_B * (demo_BK * tokens_BK).sum(K), prompts not counted
    micro_batches: int  # per rank; the loss is scaled by this and the world size
    prompt_tokens: float = 0.0  # sum of weight_B * (scored prompt tokens of row b), for terms that read them
    scored_tokens: float = 0.0  # sum of weight_B * (share_BK * tokens_BK).sum(K)


@dataclass(frozen=True)
class Batch(Movable):
    """What the data layer hands to a module: one micro-batch of B rows, padded to K and T."""

    packed: Packed
    mask_BKT: Tensor  # bool
    weight_B: Tensor  # 0 for a filler row
    index_B: Tensor  # position in the data set; -1 for a filler row
    totals: StepTotals
    prefer_BKK: Tensor | None = None
    good_BK: Tensor | None = None
    bad_BK: Tensor | None = None
    demo_BK: Tensor | None = None
    score_BK: Tensor | None = None
    mass_BK: Tensor | None = None
    win_BKK: Tensor | None = None
    margin_BKK: Tensor | None = None
    cost_BK: Tensor | None = None
    rival_BK: Tensor | None = None
    ref_logp_BKT: Tensor | None = None  # cached; None means: ask the reference
    probes: Probes | None = None  # on the first micro-batch of a step
    prompt_BP: Tensor | None = None  # left-aligned token ids, for the plain path and for samples
    prompt_mask_BP: Tensor | None = None
    response_BKT: Tensor | None = None
    beside: Batch | None = None  # demonstrations that are imitated with this micro-batch of samples
    experience: Any = None  # ``xpo.on_policy.experience.Experience`` of the rollout that it is a part of
    joined: Any = None  # ``xpo.scoring.joined.Joined``, for heads that read two responses at once

    @property
    def present_BK(self) -> Tensor:
        """True where prompt b has a k-th response (lists may be ragged)."""
        return self.mask_BKT.any(-1)

    @property
    def token_BKT(self) -> Tensor:
        """True where a response has a token, whether it trains or stands before the first that does."""
        return self.mask_BKT.flip(-1).cumsum(-1).flip(-1) > 0

    @property
    def share_BK(self) -> Tensor:
        """How much each response counts within its row, for losses of single scored responses; sums to 1."""
        if self.mass_BK is not None:
            return self.mass_BK
        present_BK = self.present_BK.float()
        return present_BK / present_BK.sum(1, keepdim=True).clamp(min=1)

    def by_scores(self) -> Batch:
        """The batch with tokens counted by ``share_BK``: every scored response, not what is imitated."""
        return dataclasses.replace(
            self, totals=dataclasses.replace(self.totals, tokens=self.totals.scored_tokens)
        )

    @property
    def length_BK(self) -> Tensor:
        """Trained tokens per response, EOS included."""
        return self.mask_BKT.sum(-1)


@dataclass(frozen=True)
class Probes(Movable):
    """This rank's rows for the whole-step statistics of one optimizer step, None where nobody reads them.

    ``step``: the step's own micro-batches; empty if the one that carries these probes is all of it;
    ``mismatched``: their prompts with other rows' responses.
    """

    step: tuple[Batch, ...] | None = None
    mismatched: tuple[Batch, ...] | None = None


@dataclass(frozen=True)
class Step:
    """What a component has observed in the N rows of one optimizer step on all ranks, without gradient.

    Rows come in the order of their place in the data set, without fillers; zeros fill up lines of batches
    with fewer responses. ``memory`` is of all steps up to this one.
    """

    values_NF: Tensor
    weight_N: Tensor
    index_N: Tensor
    memory: Tensor | None = None

    def mean_F(self) -> Tensor:
        """The weighted mean over rows."""
        return (self.weight_N[:, None] * self.values_NF).sum(0) / self.weight_N.sum()

    def place_B(self, index_B: Tensor) -> Tensor:
        """Where the rows of a batch stand in the table; rows that are not there (fillers) at 0."""
        found_BN = self.index_N == index_B[:, None]
        return found_BN.int().argmax(1)


@runtime_checkable
class Length(Protocol):
    """Axis 9. ``pool`` is linear in its first argument; an all-masked row gives 0."""

    has_offset: ClassVar[bool]

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor: ...
    def offset(self, mask_BKT: Tensor) -> Tensor: ...


@runtime_checkable
class Divergence(Protocol):
    """Axis 10. All of them take ``log_u``, the log-ratio log pi - log ref, of any shape.

    ``link`` is f'(u) - f'(1), increasing; ``value`` an unbiased, non-negative estimate of D_f per sample from
    pi; ``exact`` is D_f, ``optimum`` log pi* of max E[r] - beta D_f, both in float64 over the last dimension.
    """

    linear: ClassVar[bool]  # link(l) == c * l
    invertible: ClassVar[bool]  # f' is invertible and 0 is outside its domain: pi* > 0 everywhere

    def link(self, log_u: Tensor) -> Tensor: ...
    def value(self, log_u: Tensor) -> Tensor: ...
    def exact(self, logp: Tensor, ref_logp: Tensor) -> Tensor: ...
    def optimum(self, ref_logp: Tensor, reward: Tensor, beta: float) -> Tensor: ...
    def text(self, x: str) -> str: ...  # of the link
    def value_text(self, x: str) -> str: ...


@runtime_checkable
class Objective(Protocol):
    """reward_BK and the batch's masses -> loss_B (not reduced, not weighted by weight_B)."""

    needs: ClassVar[frozenset[str]]  # of FEEDBACK
    difference: ClassVar[bool]  # unchanged when c(x) is added to all rewards of a prompt

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor: ...


@dataclass(frozen=True)
class Context:
    """What an objective may read beside rewards and masses."""

    margin_BKK: Tensor | float = 0.0  # from the margin group, in reward units
    logp_BKT: Tensor | None = None  # policy log-probs, for likelihood terms
    step: Step | None = None  # what the objective's ``observe`` gave over the whole optimizer step
    roles: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda reward_BK: (reward_BK, reward_BK)  # of polarity
    beta: float = 1.0  # of the reward group, for losses that undo it
    token: Mapping[str, Tensor] = field(default_factory=dict)  # token statistics by name, each BKT
    value: Mapping[str, Tensor] = field(default_factory=dict)  # what the critic says, by name
    reference_BK: Tensor | None = None  # the reference's part of the reward, where the objective reads it
    log_odds_BKK: Tensor | None = None  # of a head that reads two responses: gaps that are no differences


FEEDBACK = frozenset({"comparisons", "labels", "scores", "wins", "demonstrations", "margins", "costs"})
"""What rows can carry: prefer, good and bad, scores, wins, demo, margins, costs."""


def no_gradient(tensor: Tensor) -> Tensor:
    """Stop-gradient, under the name that the papers use it by."""
    return tensor.detach()


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """Values where the mask is true, exact zeros elsewhere (whatever stands there, NaN included)."""
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
