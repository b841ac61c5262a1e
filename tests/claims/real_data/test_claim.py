"""Verdicts over seeds, without a run."""

from __future__ import annotations

import dataclasses

import pytest

from xpo.claims.real_data.__main__ import markdown
from xpo.claims.real_data.claim import Claim, Seed, judge, load_claims
from xpo.claims.real_data.rewards import Beside, accuracy, beside_length
from xpo.data.record import Record

ABOVE = Claim("a", "it works", "pairs", ("algo=x",), "above_chance", "acc")
BETTER = Claim("b", "it ranks", "lists", ("algo=x",), "ranks_better", "acc", ("algo=y",))


def accuracies(*values: float) -> list[Seed]:
    return [Seed({"acc": value}, rows=250) for value in values]


def test_above_chance() -> None:
    # rows alone: sqrt(0.6 * 0.4 / 250) = 0.031
    verdict = judge(ABOVE, accuracies(0.6, 0.6, 0.6))
    assert verdict.holds and verdict.measured == "0.600, standard error 0.031"
    assert not judge(ABOVE, accuracies(0.56, 0.56, 0.56)).holds  # 1.9 standard errors
    assert not judge(ABOVE, accuracies(0.4, 0.6, 0.8)).holds  # the seeds disagree
    assert not judge(ABOVE, accuracies(0.4, 0.4, 0.4)).holds  # as with swapped labels


def test_ranks_better_resamples_lists_and_averages_seeds() -> None:
    seeds = [Seed({"acc": 0.6}, 4, (0.3, 0.1, 0.2, 0.2)), Seed({"acc": 0.6}, 4, (0.1, 0.3, 0.2, 0.2))]
    verdict = judge(BETTER, seeds)
    assert verdict.holds and verdict.measured == "gain 0.200 (95 % interval 0.200 to 0.200)"
    swapped = [dataclasses.replace(seed, gains=tuple(-gain for gain in seed.gains)) for seed in seeds]
    assert not judge(BETTER, swapped).holds
    assert not judge(BETTER, [Seed({"acc": 0.5}, 4, (-0.5, 0.5, 0.5, -0.4))]).holds


def test_the_gain_must_show_with_and_without_close_scores() -> None:
    claim = dataclasses.replace(BETTER, tie=0.1)
    verdict = judge(claim, [Seed({"acc": 0.6}, 2, (0.2, 0.2), (0.1, 0.1, 0.1))])
    assert verdict.holds
    ending = "closer than 0.1 compared too: gain 0.100 (95 % interval 0.100 to 0.100)"
    assert verdict.measured.endswith(ending)
    assert not judge(claim, [Seed({"acc": 0.6}, 2, (0.2, 0.2), (-0.1, -0.1, -0.1))]).holds
    assert not judge(claim, [Seed({"acc": 0.6}, 2, (-0.2, -0.2), (0.1, 0.1, 0.1))]).holds


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="unknown rule 'better'; there are above_chance"):
        dataclasses.replace(ABOVE, rule="better")


def test_the_file_is_read() -> None:
    claims = load_claims()
    assert {claim.rule for claim in claims} == {"above_chance", "beats_length", "ranks_better", "runs"}
    assert len({claim.name for claim in claims}) == len(claims)


def test_the_table_has_a_line_for_each_claim_and_no_folder_of_this_machine() -> None:
    verdict = judge(ABOVE, accuracies(0.4, 0.4, 0.4))
    rows = markdown([(ABOVE, verdict)], 3).splitlines()
    assert len(rows) == 3 and len({row.count("|") for row in rows}) == 1
    assert "data.path=DATA/pairs.train.jsonl.gz" in rows[2] and rows[2].endswith("| **no** |")


def test_the_table_says_what_is_compared_with() -> None:
    claim = dataclasses.replace(BETTER, run=("algo=x", "model.path={against}/model"))
    row = markdown([(claim, judge(claim, [Seed({"acc": 0.6}, 1, (0.2,))]))], 1).splitlines()[2]
    assert (
        "model.path=OTHER/model data.path" in row
        and "OTHER: `python -m xpo algo=y data.path=DATA/lists" in row
    )


def test_a_reward_model_must_beat_length_on_the_same_lists() -> None:
    claim = Claim("c", "it scores", "lists", ("algo=x",), "beats_length", "acc", rewards=True)
    better = [Beside(9, 7, 10), Beside(4, 3, 5), Beside(5, 4, 5)]
    verdict = judge(claim, [Seed({"acc": 0.8}, 3, beside=better)])
    # 18 of 20 beside 14 of 20
    assert verdict.holds and verdict.measured.startswith("accuracy 0.900, length alone 0.700; gain 0.200")
    assert verdict.measured.endswith("p = 0.000")
    worse = [Beside(one.by_length, one.right, one.pairs) for one in better]
    assert not judge(claim, [Seed({"acc": 0.8}, 3, beside=worse)]).holds
    assert not judge(claim, [Seed({"acc": 0.8}, 3, beside=[*better, *worse])]).holds


def test_lists_beside_longer_is_better() -> None:
    records = [
        Record("p", ("aaaa", "bb", "c"), scores=(0.1, 0.9, 0.5)),  # the longest is the worst
        Record("q", ("a", "bbb"), scores=(0.0, 1.0)),
        Record("r", ("a", "bb"), scores=(0.3, 0.4)),  # closer than the tie
    ]
    found = beside_length([[0.0, 2.0, 1.0], [1.0, 1.0], [0.0, 1.0]], records, tie=0.2)
    # by length a > b > c, where the scores say b > c > a: one pair of three is right
    assert [(one.right, round(one.by_length, 9), one.pairs) for one in found] == [(3, 1, 3), (0.5, 1, 1)]
    assert accuracy(found) == 3.5 / 4
