"""A likelihood term beside the objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


@register("sft", "merged")
@dataclass(frozen=True)
class Merged:
    """preference_weight objective + weight (K - 1)^list_power NLL(demonstration).

    ``normalise`` says what the NLL is divided by: ``batch_tokens`` the tokens of the optimizer step
    (ORPO, arXiv 2403.07691, eq. 6, as its code has it), ``sequence`` each response's own length (then
    the rows; iterative RPO, arXiv 2404.19733), ``none`` only the rows (CPO, arXiv 2401.08417).
    ``over`` adds the prompt's tokens. ``list_power`` 2 is PRO's factor, arXiv 2306.17492, eq. 10.
    """

    merges: ClassVar[bool] = True
    stage: ClassVar[bool] = False
    parallel: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})

    weight: float = 1.0
    preference_weight: float = 1.0
    normalise: Literal["batch_tokens", "sequence", "none"] = "batch_tokens"
    over: Literal["response", "prompt_and_response"] = "response"
    list_power: float = 0.0

    def __post_init__(self) -> None:
        for key in ("weight", "preference_weight"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]} (see sft=none)")
        if not 0 <= self.list_power < float("inf"):
            raise ValueError(f"list_power must be at least 0 and finite, got {self.list_power}")

    @property
    def reads_prompt(self) -> bool:
        """True when the prompt's own tokens must be scored."""
        return self.over == "prompt_and_response"

    def term(self, logp_BKT: Tensor, prompt_logp_BP: Tensor | None, batch: Batch) -> tuple[Tensor, float]:
        """Numerator of this micro-batch and denominator of the whole step, of the unweighted NLL."""
        if batch.demo_BK is None:
            raise ValueError("sft=merged needs demonstrations, and the rows of this batch carry none")
        logp_BK = masked(logp_BKT, batch.mask_BKT).sum(-1)
        length_BK = batch.length_BK
        if self.reads_prompt:
            prompt_B, length_B = self._prompt(prompt_logp_BP, batch)
            logp_BK, length_BK = logp_BK + prompt_B[:, None], length_BK + length_B[:, None]
        if self.normalise == "sequence":
            logp_BK = logp_BK / length_BK.clamp(min=1)
        factor_B = (batch.present_BK.sum(1) - 1).clamp(min=0).to(logp_BK.dtype).pow(self.list_power)
        loss_B = -factor_B * masked(batch.demo_BK * logp_BK, batch.present_BK).sum(1)
        return (batch.weight_B * loss_B).sum(), self._denominator(batch)

    def _prompt(self, prompt_logp_BP: Tensor | None, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sum and number of the prompt's scored tokens (all but the first)."""
        if prompt_logp_BP is None or batch.packed.prompt_edge_BP is None:
            raise ValueError("sft.over=prompt_and_response needs the prompt's log-probabilities")
        scored_BP = batch.packed.prompt_edge_BP >= 0
        return masked(prompt_logp_BP, scored_BP).sum(1), scored_BP.sum(1)

    def _denominator(self, batch: Batch) -> float:
        if self.normalise != "batch_tokens":
            return batch.totals.rows
        tokens = batch.totals.tokens + (batch.totals.prompt_tokens if self.reads_prompt else 0.0)
        return tokens or 1.0  # a step may hold no demonstration: its sum is 0

    def term_text(self) -> tuple[str, str]:
        """The unweighted NLL of a row as an expression, and what its sum over the step is divided by."""
        logp = "sum_t(logp)" + (" + sum_p(prompt_logp)" if self.reads_prompt else "")
        length = "length" + (" + prompt_length" if self.reads_prompt else "")
        each = f"({logp}) / ({length})" if self.normalise == "sequence" else f"({logp})"
        factor = f"(responses - 1)**{self.list_power!r} * " if self.list_power else ""
        prompts = " + prompt_tokens" if self.reads_prompt else ""
        total = f"(tokens{prompts})" if self.normalise == "batch_tokens" else "rows"
        return f"{factor}sum_k(demo * -{each})", total

    def term_latex(self) -> str:
        y = "x, y^*" if self.reads_prompt else "y^* \\mid x"
        factor = rf"(K - 1)^{{{self.list_power}}} " if self.list_power else ""
        norms = {"batch_tokens": r"\frac{1}{\sum_b |%s|} \sum_b", "sequence": r"\mathbb{E} \frac{1}{|%s|}"}
        tokens = "x, y^*" if self.reads_prompt else "y^*"
        mean = norms[self.normalise] % tokens if self.normalise in norms else r"\mathbb{E}"
        return rf"{self.weight} {mean} {factor}\left[-\log\pi_\theta({y})\right]"
