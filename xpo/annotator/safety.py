"""A reward model says how helpful responses are, a cost model how unsafe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record
from xpo.errors import UserError
from xpo.registry import register
from xpo.reward_model.ask import hash_of, load, place, scores_alone, tell_cuts
from xpo.reward_model.folder import Meaning
from xpo.reward_model.saved import TOKENS
from xpo.reward_model.solution import rewards

HELPFULNESS, COST = "annotator.helpfulness", "annotator.cost"


@register("annotator", "safety")
@dataclass(frozen=True)
class Safety(Labeller):
    """Scores helpfulness - weight * (cost - limit), costs; labels: good is what costs less than ``limit``.

    The scores are the Lagrangian of Dai et al. 2023, arXiv 2310.12773, at the multiplier ``weight``. With
    ``excess`` a cost below the limit is none, so that safe responses are ranked by helpfulness alone (ours).
    With ``apart`` scores are helpfulness alone, for those who weigh the costs themselves. A positive cost is
    unsafe. ``helpfulness`` and ``cost`` are folders or hub names: a reward model, and a model of costs (sign
    -1 in its config.json; somebody else's classifier is taken to be what its key says). Members of
    a head are averaged. ``tokens`` are positions of a forward pass.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "costs"})
    cut: ClassVar[str] = "limit"

    helpfulness: str
    cost: str
    weight: float = 1.0
    limit: float = 0.0
    excess: bool = False
    apart: bool = False
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be above 0 and finite, got {self.weight}")
        if not math.isfinite(self.limit):
            raise ValueError(f"limit must be finite, got {self.limit}")
        if self.apart and (self.weight != 1.0 or self.excess):
            raise ValueError(
                f"apart=true leaves costs out of the scores, so that weight={self.weight} and "
                f"excess={str(self.excess).lower()} are not read: leave them at 1.0 and false, or apart=false"
            )
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")
        if place(self.helpfulness) == place(self.cost):
            raise ValueError(f"helpfulness and cost are one model, {self.cost}: give a model of each")
        _check_reward(scores_alone(self.helpfulness, HELPFULNESS), f"{HELPFULNESS}={self.helpfulness}")
        _check_cost(scores_alone(self.cost, COST), f"{COST}={self.cost}")

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Which models."""
        return (HELPFULNESS, self.helpfulness), (COST, self.cost)

    def fingerprint(self, desk: Desk) -> str:
        """Both models' hashes, and how they are weighed."""
        models = hash_of(self.helpfulness, HELPFULNESS), hash_of(self.cost, COST)
        return repr((type(self).__name__, *models, self.weight, self.limit, self.excess, self.apart))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Scores, costs and labels; ``why`` has helpfulness and cost of each response."""
        helpful, costly = (
            load(self.helpfulness, HELPFULNESS, pairs=False),
            load(self.cost, COST, pairs=False),
        )
        _check_reward(helpful.meaning, f"{HELPFULNESS}={self.helpfulness}")
        _check_cost(costly.meaning, f"{COST}={self.cost}")
        said = rewards(helpful, records, tokens=self.tokens), costly.opinions(records, self.tokens)
        for pair in zip(*said, strict=True):
            reward_K, told_K = (
                torch.stack([o.reward_BK for o in opinions]).double().mean(0) for opinions in pair
            )
            cost_K = costly.sign * told_K  # an opinion of a model of costs is minus the cost
            above_K = cost_K - self.limit
            yield Verdict(
                scores=tuple((reward_K - self._counted(above_K)).tolist()),
                labels=tuple((above_K < 0).tolist()),
                costs=tuple(cost_K.tolist()),
                why={"helpfulness": reward_K.tolist(), "cost": cost_K.tolist()},
            )
        if not desk.passing:
            tell_cuts([helpful, costly], [self.helpfulness, self.cost])

    def _counted(self, above_K: Tensor) -> Tensor:
        """What scores lose by costs that are so much above the limit."""
        if self.apart:
            return torch.zeros_like(above_K)
        return self.weight * (above_K.clamp(min=0) if self.excess else above_K)


def _check_reward(meaning: Meaning | None, where: str) -> None:
    if meaning is not None and meaning.sign < 0:
        raise UserError(f"{where} is a model of costs (high is bad): give it as {COST}")


def _check_cost(meaning: Meaning | None, where: str) -> None:
    """A cost has a zero of its own, which an offset would move."""
    if meaning is None:
        return
    if meaning.sign > 0:
        raise UserError(f"{where} is a reward model (high is good): give one that was trained on costs")
    if meaning.by_parts:
        raise UserError(f"{where} judges parts of responses: a cost is of a whole one")
    if any(meaning.offset):
        raise UserError(
            f"{where}: {list(meaning.offset)} is taken off its costs, so that 0 is not their limit"
        )
