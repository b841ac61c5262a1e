"""Who stands beside the policy's samples: rivals, the data's responses, copies; golden traces of games."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from tests.on_policy.hand import EOS, Hand, Scripted, composed, logps, mutated, prompt, said, spoken
from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.record import Record
from xpo.objective.win_rate_regression import WinRateRegression
from xpo.on_policy import collect
from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector
from xpo.on_policy.rows import rows_of

OWN = [[[5, EOS], [6, 7, EOS]]]
RIVALS = [[[8, EOS], [9, EOS]]]


@dataclass(frozen=True)
class Judge(Labeller):
    """P(i beats j) by the strengths a / (a + b) of texts, but the text ``lucky`` beats ``best`` always."""

    gives = frozenset({"comparisons", "wins", "scores", "labels"})
    stored = False
    strength: dict[str, float] = field(default_factory=dict)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            texts = list(map(str, record.responses))
            yield Verdict(wins=tuple(tuple(self._wins(a, b) for b in texts) for a in texts))

    def _wins(self, a: str, b: str) -> float:
        return 0.5 if a == b else self.strength[a] / (self.strength[a] + self.strength[b])


STRENGTH = {"5 2": 1.0, "6 7 2": 3.0, "8 2": 1.0, "9 2": 4.0}


def duel(*overrides: str) -> Hand:
    hand = Hand(
        ("algo=nash_md", "sft=none", "sampling.responses=2", *overrides), OWN, [[0.0, 0.0]], moved=True
    )
    hand.parts = dataclasses.replace(hand.parts, annotator=Judge(STRENGTH))
    hand.collector.parts = dataclasses.replace(hand.collector.parts, annotator=Judge(STRENGTH))
    hand.collector.rival = Scripted(RIVALS)
    return hand


def test_samples_are_worth_their_chance_against_the_rivals_alone() -> None:
    (answer,) = duel("sampling.rivals=2").collector.rollout([0], 0)
    # 1/2 and 1/5 against the two rivals; 3/4 and 3/7
    assert answer.values == pytest.approx([(1 / 2 + 1 / 5) / 2, (3 / 4 + 3 / 7) / 2])
    assert answer.responses == OWN[0] and answer.record.rivals == (0, 0, 1, 1) and answer.others == [2, 3]


def test_against_the_policys_own_samples_it_would_be_another_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: win rates among all, rivals or not."""
    hand = duel("sampling.rivals=2")
    monkeypatch.setattr(
        collect, "won", lambda record, own: collect.values(record, hand.collector.parts)[:own]
    )
    (answer,) = hand.collector.rollout([0], 0)
    assert answer.values != pytest.approx([0.35, (3 / 4 + 3 / 7) / 2])


def nash_by_hand(tau: float) -> list[list[float]]:
    """Reward-to-go of each token: the chance of winning, less tau times the log-ratios from there on."""
    worth = [0.35, (3 / 4 + 3 / 7) / 2]
    ids = (1, 11)
    found = []
    for response, value in zip(OWN[0], worth, strict=True):
        ratios = [a - b for a, b in zip(logps(ids, response), logps(ids, response, seed=4), strict=True)]
        found.append([value - tau * sum(ratios[t:]) for t in range(len(response))])
    return found


def test_nash_md_credits_tokens_with_what_follows_them() -> None:
    hand = duel("sampling.rivals=2", "reward.beta=0.02", "advantage.baseline=none")
    advantage_KT = hand.experience().advantage[0]
    for k, expected in enumerate(nash_by_hand(0.02)):
        assert advantage_KT[k, : len(expected)].tolist() == pytest.approx(expected, abs=1e-5)
    from xpo.penalty.reward import InReward

    terms = InReward.terms
    with mutated(InReward, "terms", lambda *a: tuple(-part for part in terms(*a))):
        turned = (
            duel("sampling.rivals=2", "reward.beta=0.02", "advantage.baseline=none").experience().advantage[0]
        )
    assert turned[0, :2].tolist() != pytest.approx(nash_by_hand(0.02)[0], abs=1e-5)


def rows(algo: Sequence[str], own: Any, given: Any = (), rivals: Any = (), **said_of: Any) -> list[Row]:
    """Rows that are made of written answers to one prompt."""
    parts = composed(*algo)
    told = dataclasses.replace(prompt(0), given=tuple(map(tuple, given)))
    collector = Collector(parts, None, None, None)  # type: ignore[arg-type]
    collector.prompts = dataclasses.make_dataclass("P", ["said"])(spoken)
    record = collector._said(told, own, rivals, told.given)
    if parts.feedback.contrasts:
        from xpo.data.beside import judged

        record = judged(record, len(told.given), parts.sampling.given)
    record = dataclasses.replace(record, **said_of)
    answer = Answered(told, own, [], [], record, [0.0] * len(own))
    return rows_of([answer], parts, Counts(), torch.Generator(), 1)


def test_spin_sets_the_demonstration_above_what_was_sampled_now() -> None:
    (row,) = rows(["algo=spin", "data=gold"], [[5, EOS]], given=[[9, EOS]])
    assert [list(r) for r in row.responses] == [[9, EOS], [5, EOS]] and row.prefer == ((0, 1), (0, 0))
    assert rows(["algo=spin", "data=gold"], [[9, EOS]], given=[[9, EOS]]) == [], "nothing to tell apart"


def test_d2o_sets_what_people_reject_below_all_samples() -> None:
    (row,) = rows(["algo=d2o_self", "data=gold"], [[5, EOS], [6, EOS]], given=[[9, EOS]])
    assert [said(r) for r in row.responses] == ["5 2", "6 2", "9 2"]
    assert row.good == (0.25, 0.25, 0) and row.bad == (0, 0, 0.5)
    assert row.prefer == ((0, 0, 0.5), (0, 0, 0.5), (0, 0, 0)), "samples are not compared with each other"


def test_exploratory_rows_say_which_one_is_the_references() -> None:
    scores = {"scores": (1.0, 2.0)}
    (row,) = rows(["algo=exploratory", "data=gold"], [[5, EOS]], rivals=[[9, EOS]], **scores)
    assert [said(r) for r in row.responses] == ["9 2", "5 2"] and row.rivals == (1, 0)


@pytest.mark.parametrize(
    ("maker", "pairs"),
    [
        ("best_worst", [("3", "1")]),
        ("best_rest", [("3", "2"), ("3", "1")]),
        ("all", [("3", "2"), ("3", "1"), ("2", "1")]),
    ],
)
def test_pairs_of_samples_with_ties(maker: str, pairs: list[tuple[str, str]]) -> None:
    """Samples worth 3, 2 and 1 twice; the two that tie make no pair."""
    own = [[13], [11], [12], [10]]
    scores = {"scores": (3.0, 1.0, 2.0, 1.0)}
    found = rows(["algo=iterative_dpo", "data=gold", f"arity.from_list={maker}"], own, **scores)
    worth = {13: "3", 12: "2", 11: "1", 10: "1"}
    assert {tuple(worth[r[0]] for r in row.responses) for row in found} == set(pairs)


def test_best_of_all_ties_is_no_pair() -> None:
    same = {"scores": (1.0, 1.0)}
    assert rows(["algo=iterative_dpo", "data=gold"], [[5, EOS], [6, EOS]], **same) == []


def test_pairs_that_are_not_won_clearly_are_left_out() -> None:
    wins = {"wins": ((0.5, 0.6, 0.9), (0.4, 0.5, 0.7), (0.1, 0.3, 0.5)), "scores": (3.0, 2.0, 1.0)}
    algo = ["algo=dpo", "data=gold", "sampling=on_policy", "arity.least=0.2"]
    found = rows(algo, [[5], [6], [7]], **wins)
    assert [[r[0] for r in row.responses] for row in found] == [[5, 7], [6, 7]]


def test_sppo_fits_win_rates_among_all_samples_itself_included() -> None:
    """Three samples with win rates (3 / 4 + 1 / 2 + 1 / 2) / 3 and so on: targets (rate - 1 / 2) / beta."""
    wins = ((0.5, 0.75, 0.5), (0.25, 0.5, 0.25), (0.5, 0.75, 0.5))
    rates = {"wins": wins, "scores": (0.6, 0.2, 0.6)}
    (row,) = rows(["algo=sppo", "data=gold"], [[5], [6], [7]], **rates)
    from xpo.contracts import Context
    from xpo.data.collate import Collator
    from xpo.data.loader import totals_of
    from xpo.reward_form.pairwise import Pairwise

    parts = composed("algo=sppo", "data=gold")
    batch = Collator(0)([row], [0], totals_of([row], 1))
    batch = parts.reward.relabelled(batch, Pairwise())
    targets = torch.tensor([[(1.75 / 3 - 0.5), (1.0 / 3 - 0.5), (1.75 / 3 - 0.5)]])
    order = [[said(r) for r in row.responses].index(text) for text in ("5", "6", "7")]
    reward_BK = torch.empty(1, 3)
    reward_BK[0, order] = targets[0]
    loss_B = WinRateRegression(itself=True)(reward_BK, batch, Context(beta=1.0))
    assert float(loss_B) == pytest.approx(0.0, abs=1e-12)
    assert float(WinRateRegression(itself=False)(reward_BK, batch, Context(beta=1.0))) > 1e-4


def test_copies_count_with_all_that_was_said_of_them() -> None:
    """A twice, worth 3 and 1, and B worth 2: A beats B once and loses once."""
    scores = {"scores": (3.0, 1.0, 2.0)}
    algo = ["algo=pl_dpo", "data=gold", "data.mode=population", "sampling=on_policy"]
    (row,) = rows(algo, [[5], [5], [6]], **scores)
    assert row.prefer == ((0, 0.5), (0.5, 0)) and row.scores == (2.0, 2.0)
