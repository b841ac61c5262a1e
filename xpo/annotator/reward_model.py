"""Trained reward models score responses: one, or several that are combined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record
from xpo.registry import register
from xpo.reward_model.ask import hash_of, load, place, scores_alone, tell_cuts
from xpo.reward_model.saved import TOKENS
from xpo.reward_model.solution import rewards

KEY = "annotator.path"


@register("annotator", "reward_model")
@dataclass(frozen=True)
class RewardModel(Labeller):
    """Scores of trained reward models, offsets taken off; P(i beats j) = sigmoid(score_i - score_j).

    ``path``: the ``model/`` of a run with reward=head, somebody else's classifier of one label, or several of
    these. Members of one head and of several folders are combined alike, response by response: ``mean`` (null
    is that), ``min``, or ``uncertainty``: mean - ``penalty`` * variance over members (Coste et al. 2023,
    arXiv 2310.02743). A model of steps or spans has log-probabilities as scores: of all parts of a response
    being right (``parts`` null, or product), of the ``minimum``, of the ``mean``. ``tokens`` are positions of
    a forward pass. Raises ``ValueError`` for keys that nothing would read, ``UserError`` for a folder that
    scores no single responses.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})

    path: str | tuple[str, ...]
    combine: Literal["mean", "min", "uncertainty"] | None = None
    penalty: float | None = None
    parts: Literal["product", "minimum", "mean"] | None = None
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        if not self.paths or len({place(path) for path in self.paths}) < len(self.paths):
            raise ValueError(f"path must be a model or several different ones, got {self.path!r}")
        if (self.combine == "uncertainty") != (self.penalty is not None):
            raise ValueError(
                f"penalty is what combine=uncertainty reads, and nothing else: got combine={self.combine}, "
                f"penalty={self.penalty}"
            )
        if self.penalty is not None and not 0 < self.penalty < math.inf:
            raise ValueError(f"penalty must be above 0 and finite, got {self.penalty}")
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")
        told = [scores_alone(path, KEY) for path in self.paths]
        if len(told) == 1 and told[0] is not None:
            self._check_members(int(told[0].reward.get("members", 1)))
        if all(meaning is not None for meaning in told):
            self._check_parts(any(meaning is not None and meaning.by_parts for meaning in told))

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Which models."""
        return tuple((KEY, path) for path in self.paths)

    def fingerprint(self, desk: Desk) -> str:
        """The models' hashes, in any order, and what is made of their scores."""
        models = sorted(hash_of(path, KEY) for path in self.paths)
        how = (self.combine or "mean", self.penalty, self.parts or "product")
        return repr((type(self).__name__, *how, models))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Scores and wins; ``why`` has each member's scores where there are several."""
        models = [load(path, KEY, pairs=False) for path in self.paths]
        self._check_members(sum(model.members for model in models))
        self._check_parts(any(model.by_parts for model in models))
        how = self.parts or "product"
        for said in zip(*(rewards(model, records, how, self.tokens) for model in models), strict=True):
            members = [opinion.reward_BK for opinions in said for opinion in opinions]
            reward_MK = torch.stack(members).double()
            score_K = self.combined(reward_MK)
            yield Verdict(
                scores=tuple(score_K.tolist()),
                wins=bradley_terry(score_K),
                why=reward_MK.tolist() if len(members) > 1 else None,
            )
        if not desk.passing:
            tell_cuts(models, self.paths)

    def chance(self) -> Callable[[float], float] | None:
        """From log-odds, or log-probabilities of models of parts; None unless all say what their 0 is."""
        meanings = [load(path, KEY, pairs=False).meaning for path in self.paths]
        if self.penalty is not None or not all(meaning is not None and meaning.zero for meaning in meanings):
            return None
        of_parts = [meaning is not None and meaning.by_parts for meaning in meanings]
        if any(of_parts) != all(of_parts):
            return None
        return math.exp if all(of_parts) else _sigmoid

    def combined(self, reward_MK: Tensor) -> Tensor:
        """One score per response from each member's."""
        mean_K = reward_MK.mean(0)
        if self.combine == "min":
            return reward_MK.amin(0)
        if self.penalty is None:
            return mean_K
        return mean_K - self.penalty * (reward_MK - mean_K).square().mean(0)

    def _check_parts(self, are_read: bool) -> None:
        if self.parts is not None and not are_read:
            raise ValueError(
                f"parts={self.parts} is not read: no model judges parts of a response (reward_level=step)"
            )

    def _check_members(self, members: int) -> None:
        if members == 1 and self.combine is not None:
            raise ValueError(
                f"combine={self.combine} is not read: there is one model with one member. Leave it away, or "
                "give several paths, or a model trained with reward.members above 1"
            )


def _sigmoid(score: float) -> float:
    return 0.5 * (1 + math.tanh(score / 2))


def bradley_terry(score_K: Tensor) -> tuple[tuple[float, ...], ...]:
    """P(i beats j) of scores, K x K; each pair sums to 1 exactly."""
    win_KK = torch.sigmoid(score_K[:, None] - score_K[None, :])
    upper_KK = win_KK.triu(1)
    lower_KK = (1 - upper_KK).T.tril(-1)
    return tuple(map(tuple, (upper_KK + lower_KK + 0.5 * torch.eye(len(score_K))).tolist()))
