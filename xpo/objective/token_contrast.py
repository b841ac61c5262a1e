"""Good tokens are imitated, bad ones lose against a likely rival; for single responses and for pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, gaps, given, over_pairs
from xpo.objective.words import gap_latex, gap_text
from xpo.registry import register
from xpo.scoring.token_statistics import Rival, TokenStatistic

_AGAINST = r"\sum_t -\log\frac{\pi_\theta(\tilde y_t)}{\pi_\theta(\tilde y_t) + \pi_\theta(%s)}"


@dataclass(frozen=True)
class _Contrast(Declared):
    """``alpha`` weighs the bad tokens; a rival is drawn from the ``top`` likeliest other tokens."""

    alpha: float = 1.0
    top: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be above 0 and finite, got {self.alpha}")
        if self.top < 1:
            raise ValueError(f"top must be at least 1, got {self.top}")

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        return (Rival(self.top),)

    def terms(self, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        """Sums over tokens, BK: -log p, and -log of the share that the rival has beside the token.

        A difference of log-probabilities is one of logits. Both tokens have a gradient.
        """
        logp_BKT = masked(given(context.logp_BKT, "log-probabilities", self), batch.mask_BKT)
        rival_BKT = masked(context.token[Rival.name], batch.mask_BKT)
        against_BKT = masked(softplus(logp_BKT - rival_BKT), batch.mask_BKT)
        return -logp_BKT.sum(-1), against_BKT.sum(-1)

    @property
    def terms_text(self) -> tuple[str, str]:
        return "sum_t(-logp)", f"sum_t(-log_sigmoid(rival({self.top!r}) - logp))"


@register("objective", "token_contrast")
@dataclass(frozen=True)
class TokenContrast(_Contrast):
    """CRINGE: likelihood of good responses' tokens, alpha times the contrast of bad ones' with a rival.
    Adolphs et al. 2022, arXiv 2211.05826, section 3.

    A sum over tokens: reduce=tokens divides by those of good and bad responses, as the official code does.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    difference: ClassVar[bool] = False
    reads_reward: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    per_token: ClassVar[bool] = True
    imitates: ClassVar[bool] = True
    counts_scores: ClassVar[bool] = True
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        imitated_BK, against_BK = self.terms(batch, context)
        return (good_BK * imitated_BK + self.alpha * bad_BK * against_BK).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        imitated, against = self.terms_text
        return f"sum_k(good * {imitated} + {self.alpha!r} * bad * {against})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        good = r"-\log\pi_\theta(y \mid x) & y \text{ good}"
        bad = rf"{self.alpha} {_AGAINST % 'y_t'} & y \text{{ bad}}"
        return rf"\begin{{cases}} {good} \\ {bad} \end{{cases}}"


@register("objective", "gated_contrast")
@dataclass(frozen=True)
class GatedContrast(_Contrast):
    """Pairwise CRINGE: sigmoid((offset - gap) / temperature) (CE(y_w) + alpha CR(y_l)). Xu et al. 2023,
    arXiv 2312.16682, section 3.

    The gate shuts where the preferred response is ``offset`` nats or more ahead; it is part of the loss and
    has a gradient, as the equation is printed. CE and CR are means over their response's tokens.
    """

    offset: float = -10.0
    temperature: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -float("inf") < self.offset < float("inf"):
            raise ValueError(f"offset must be finite, got {self.offset}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        gap_BKK = gaps(*context.roles(reward_BK), batch, context)
        gate_BKK = torch.sigmoid((self.offset - gap_BKK) / self.temperature)
        length_BK = batch.length_BK.clamp(min=1)
        imitated_BK, against_BK = (term_BK / length_BK for term_BK in self.terms(batch, context))
        loss_BKK = gate_BKK * (imitated_BK[:, :, None] + self.alpha * against_BK[:, None, :])
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_text(preferred, dispreferred, margin)
        gate = f"sigmoid(({self.offset!r} - {gap}) / {self.temperature!r})"
        imitated, against = (f"({term} / length)" for term in self.terms_text)
        return f"sum_ij(prefer * {gate} * (i{imitated} + {self.alpha!r} * j{against}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_latex(preferred, dispreferred, margin)
        gate = rf"\sigma\left(({self.offset} - {gap}) / {self.temperature}\right)"
        imitated = r"-\frac{1}{|y_w|} \log\pi_\theta(y_w \mid x)"
        against = rf"\frac{{{self.alpha}}}{{|y_l|}} {_AGAINST % 'y_{l,t}'}"
        return rf"{gate} \left({imitated} + {against}\right)"
