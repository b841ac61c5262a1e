"""What a head reads of a response: the state of its last token, or those of all its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.reward_model.heads import Opinion, RewardHead
from xpo.scoring.parts import evaluating
from xpo.scoring.score import Scoring
from xpo.scoring.states import TokenStates, token_states


@dataclass(frozen=True, eq=False)
class Judge:
    """A head and the parts that say what it reads; called, it gives its members' opinions of a batch."""

    head: RewardHead
    parts: Any  # with ``reward``, ``reward_level`` and ``length``

    @torch.no_grad()
    def __call__(self, model: Any, scoring: Scoring, batch: Batch) -> tuple[Opinion, ...]:
        with evaluating(model):
            return self.head(features(model, self.head, scoring, self.parts, batch), batch.present_BK)


def features(model: Any, head: RewardHead, scoring: Scoring, parts: Any, batch: Batch) -> Tensor:
    """feature_BKF: the head's outputs at each response's last token, or of all tokens, pooled by length.

    ``parts`` has ``reward``, ``reward_level`` and ``length``. A response's scores of tokens are
    ``token_features``. Of responses that are read together it is feature_BKKF, at the end of each pair.
    """
    if parts.reward.together:
        return pair_features(model, head, scoring, batch)
    return features_of(token_states(scoring, model, batch), head, parts, batch)


def features_of(states: TokenStates, head: RewardHead, parts: Any, batch: Batch) -> Tensor:
    """The same, of states that are there already."""
    if not parts.reward_level.per_token:
        return head.features(states.last(batch))
    feature_BKTF = head.features(states.tokens())
    pooled = [parts.length.pool(feature_BKT, batch.mask_BKT) for feature_BKT in feature_BKTF.unbind(-1)]
    return torch.stack(pooled, dim=-1)


def pair_features(model: Any, head: RewardHead, scoring: Scoring, batch: Batch) -> Tensor:
    """feature_BKKF: the head's one output at the end of response i and then j."""
    if batch.joined is None:
        raise ValueError("this batch has no rows of two responses; collate it with a separator")
    pairs = batch.joined.as_batch(batch)
    feature_BRF = head.features(token_states(scoring, model, pairs).last(pairs))
    return batch.joined.table(feature_BRF.squeeze(-1))[..., None]


def token_features(model: Any, head: RewardHead, scoring: Scoring, batch: Batch) -> Tensor:
    """feature_BKTF: the head's outputs at every response token."""
    return head.features(token_states(scoring, model, batch).tokens())
