"""The reward is the score of a head that is trained: an explicit reward model in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from xpo.critic.base import check_lr_scale
from xpo.registry import register
from xpo.reward_model.folder import require_classifier
from xpo.reward_model.heads import RewardHead
from xpo.scoring.parts import output_head


@register("reward", "head")
@dataclass(frozen=True)
class HeadReward:
    """A linear head on the model's hidden states. Ouyang et al. 2022, arXiv 2203.02155, section 3.5.

    The objective eats its scores in place of log-ratios: with ``objective=logistic`` that is Bradley-Terry.
    ``reward_form=pointwise`` trains one score per response, ``pairwise`` log-odds of two responses;
    ``reward_level`` says which tokens are read. ``members``: so many heads on one trunk, each on its own
    random half of the rows, for means and disagreement. ``planes``: how many cycles a preference model can
    hold (null: 4; pointwise heads have none). The head trains at ``lr_scale`` times the model's rate.
    ``reading`` of a pairwise head: responses are read apart, each at its own end, or together, one after the
    other (both orders are read, and half their difference is the log-odds; Munos et al. 2023, arXiv
    2312.00886, section 2, learn P(y beats y' | x) of both). ``sign=-1``: the folder that a run leaves gives
    costs, rewards with the other sign.
    """

    relabels: ClassVar[bool] = False  # labels are used as annotated
    reads_reward: ClassVar[bool] = True
    trains_head: ClassVar[bool] = True  # rewards are a head's, no log-ratios
    gives_scores: ClassVar[bool] = True  # objectives of scores find them in the rows
    beta: ClassVar[float] = 1.0  # rewards are what the head says

    members: int = 1
    planes: int | None = None
    lr_scale: float = 1.0
    sign: int = 1
    reading: Literal["apart", "together"] = "apart"

    def __post_init__(self) -> None:
        check_lr_scale(self.lr_scale)
        if self.members < 1:
            raise ValueError(f"members must be at least 1, got {self.members}")
        if self.planes is not None and self.planes < 1:
            raise ValueError(f"planes must be null or at least 1, got {self.planes}")

        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 (rewards) or -1 (costs), got {self.sign}")

    @property
    def together(self) -> bool:
        """Two responses are read in one row."""
        return self.reading == "together"

    def separator(self, tokenizer: Any) -> int | None:
        """The token between two responses that are read together: another EOS."""
        return tokenizer.eos_token_id if self.together else None

    def __call__(self, link_BK: Tensor) -> Tensor:
        return link_BK

    def build(self, form: Any, policy: Any, seed: int) -> RewardHead:
        """The head, on the policy's device, in at least float32.

        Raises ``UserError`` for an architecture that cannot be saved with a head.
        """
        require_classifier(policy)
        weight_VD = output_head(policy).weight_VD
        dtype = torch.promote_types(weight_VD.dtype, torch.float32)
        head: RewardHead = form.head(self, weight_VD.shape[1], seed, dtype)
        return head.to(weight_VD.device)

    def text(self, x: str) -> str:
        return x

    def latex(self, x: str) -> str:
        return x
