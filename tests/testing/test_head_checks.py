"""The kit's checks of heads fail on heads that are broken in one way each."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest

from xpo.reward.head import HeadReward
from xpo.reward_form.pairwise import Pairwise
from xpo.reward_form.pointwise import Pointwise
from xpo.reward_form.win_rate import WinRate
from xpo.reward_model.heads import Opinion, PreferenceHead, ScoreHead
from xpo.testing import failures


class LikesTheFirst(PreferenceHead):
    def forward(self, feature_BKF: Any, present_BK: Any) -> tuple[Opinion, ...]:
        (opinion,) = super().forward(feature_BKF, present_BK)
        return (dataclasses.replace(opinion, log_odds_BKK=opinion.log_odds_BKK + 0.1),)


class OneSided(Pairwise):
    """Prefers what it reads first."""

    def head(self, reward: Any, width: int, seed: int, dtype: Any) -> Any:
        return LikesTheFirst(width, 2, seed, dtype)


class SaysItIsOfPairs(Pointwise):
    """Gives scores, and says that it gives none."""

    of_pairs: ClassVar[bool] = True


class SaysItHasAHead(WinRate):
    """Has none."""

    has_head: ClassVar[bool] = True


class NoSeed(Pointwise):
    """The same head whatever the seed."""

    def head(self, reward: Any, width: int, seed: int, dtype: Any) -> Any:
        return ScoreHead(width, reward.members, 0, dtype)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (OneSided(), "do not cancel exactly"),
        (SaysItIsOfPairs(), "of_pairs=True"),
        (SaysItHasAHead(), "has no head"),
        (NoSeed(), "the seed changes nothing"),
    ],
)
def test_a_broken_form_is_noticed(form: Any, said: str) -> None:
    assert any(said in failure for failure in failures(form, "reward_form"))


@dataclasses.dataclass(frozen=True)
class Doubled(HeadReward):
    """Scales what the head says."""

    def __call__(self, link_BK: Any) -> Any:
        return 2 * link_BK


def test_a_reward_that_changes_what_its_head_says_is_noticed() -> None:
    assert any("changed on the way" in failure for failure in failures(Doubled(), "reward"))
    assert failures(HeadReward(), "reward") == []
