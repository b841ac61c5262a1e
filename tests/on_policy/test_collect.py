"""Sampling and annotating: what the sampler is shown, what is kept of it, and who is at fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.on_policy.hand import EOS, Hand, Told, composed, model, prompt, said, spoken
from xpo.annotator.base import Desk, LabelError, Verdict
from xpo.data.prompts import Prompts
from xpo.data.record import Record
from xpo.gold.world import World
from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector
from xpo.sampler.generate import Generate
from xpo.sampler.policy import Policy
from xpo.scoring.score import Scoring
from xpo.stages.samples import held_out_samples

TWO = [[5, EOS], [6, EOS]]
ALIKE = [[7, EOS], [8, EOS]]


def alike(answer: Answered) -> bool:
    return len(set(answer.values)) < 2


def test_rows_of_pairs_are_alike_where_their_labels_tie() -> None:
    """Nothing is a value there, and a rollout that differs is not drawn again."""
    hand = Hand(("algo=dapo", "sft=none", "length=sum", "sampling.resample=20"), [TWO], [[0.0, 1.0]])
    (answer,) = hand.collector.rollout([0], 0)
    parts = composed("algo=online_dpo", "sampling.resample=2", "annotator=gold", "data=gold")
    collector = dataclasses.replace(hand.collector, parts=parts)
    for scores, told in (((1.0, 1.0), True), ((1.0, 2.0), False)):
        record = dataclasses.replace(answer.record, scores=scores, ranks=None)
        assert collector._alike(dataclasses.replace(answer, record=record, values=[0.0, 0.0])) is told


def test_prompts_without_a_difference_make_way() -> None:
    """Prompts 1 and 3 are worth nothing to a comparison: others come in their place, and that is counted."""
    hand = Hand(
        ("algo=dapo", "sft=none", "length=sum", "sampling.resample=20"),
        [TWO, ALIKE, [[5, 5, EOS], [6, 6, EOS]], [[7, 7, EOS], [8, 8, EOS]]],
        [[0.0, 1.0], [2.0, 2.0], [1.0, 3.0], [0.0, 0.0]],
    )
    answers = hand.collector.rollout(range(4), 0)
    assert len(answers) == 4 and not any(alike(answer) for answer in answers)
    assert {answer.prompt.ids[1] for answer in answers} == {11, 13}
    assert [answer.prompt.ids[1] for answer in answers[:2]] == [11, 13], "those that are kept stay in front"
    tries = len(hand.engine.asked) - 1
    assert hand.collector.counts == {"prompts drawn again": 4 * tries} and 1 <= tries <= 20


def test_the_cap_is_counted_and_the_rollout_stays_whole() -> None:
    hand = Hand(
        ("algo=dapo", "sft=none", "length=sum", "sampling.resample=3"), [ALIKE, ALIKE], [[2.0, 2.0]] * 2
    )
    answers = hand.collector.rollout([0, 1], 0)
    assert len(answers) == 2 and all(alike(answer) for answer in answers)
    assert len(hand.engine.asked) == 4
    assert hand.collector.counts == {"prompts drawn again": 6, "rollouts at the cap": 1}
    assert not hand.experience().advantage.any(), "nothing is learnt from what is all alike"


def test_without_resampling_nothing_is_drawn_again() -> None:
    hand = Hand(("algo=grpo", "sft=none"), [TWO, ALIKE], [[0.0, 1.0], [2.0, 2.0]])
    assert [alike(answer) for answer in hand.collector.rollout([0, 1], 0)] == [False, True]
    assert len(hand.engine.asked) == 1 and hand.collector.counts == {}


def test_the_policy_is_shown_the_template_and_trained_behind_the_prompt() -> None:
    hand = Hand(("algo=rloo", "sft=none"), [TWO], [[0.0, 1.0]])
    told = dataclasses.replace(prompt(0), shown=(1, 9, 9, 11))
    hand.collector.prompts = dataclasses.replace(hand.collector.prompts, train=[told])
    (answer,) = hand.collector.rollout([0], 0)
    assert hand.engine.asked[0][0] == [(1, 9, 9, 11)]
    assert answer.row().prompt == (1, 11)


def test_data_bound_the_length_of_what_is_drawn() -> None:
    hand = Hand(("algo=rloo", "sft=none", "sampling.max_new_tokens=9"), [TWO], [[0.0, 1.0]])
    hand.collector.rollout([0], 0)
    hand.collector.prompts = dataclasses.replace(hand.collector.prompts, longest=4)
    hand.collector.rollout([0], 0)
    assert [draw.max_new_tokens for _, draw in hand.engine.asked] == [9, 4]
    assert all(draw.responses == 2 for _, draw in hand.engine.asked)


@dataclasses.dataclass(frozen=True)
class Raises(Told):
    """Fails on what it does not know."""

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for verdict in super().judge(records, desk):
            if verdict.scores and 13.0 in verdict.scores:
                raise ZeroDivisionError("a scorer's own mistake")
            yield verdict


@pytest.mark.parametrize(
    ("annotator", "bad", "said_of_it"),
    [
        (Told, float("nan"), "a score must be finite"),
        (Told, float("inf"), "a score must be finite"),
        (Raises, 13.0, "Raises failed: ZeroDivisionError: a scorer's own mistake"),
    ],
)
def test_a_scorer_at_fault_stops_the_run_at_the_prompt(annotator: Any, bad: float, said_of_it: str) -> None:
    hand = Hand(("algo=rloo", "sft=none"), [TWO, [[5, 5, EOS], [6, 6, EOS]]], [[0.0, 1.0], [2.0, bad]])
    told = hand.parts.annotator
    hand.collector.parts = dataclasses.replace(hand.parts, annotator=annotator(told.scores, told.costs))
    with pytest.raises(LabelError, match=f"prompts.jsonl:2: .*{said_of_it}"):
        hand.collector.rollout([0, 1], 0)


def drawing() -> Collector:
    parts = composed("algo=rloo", "sft=none", "sampling.max_new_tokens=6", "sampling.responses=3")
    policy = Policy(model(), World().tokenizer(), Scoring())
    prompts = Prompts([prompt(b) for b in range(5)], [], spoken)
    return Collector(parts, prompts, policy, Desk(Path("unused")), engine=Generate())


def test_samples_do_not_depend_on_who_else_draws() -> None:
    """The last two of five prompts, alone: what a second rank draws."""
    collector = drawing()
    whole = collector.drawn(collector.prompts.train, "0", 3)
    rest = collector.drawn(collector.prompts.train[3:], "0", 3, first=3)
    assert rest.responses == whole.responses[3:]
    assert rest.responses != collector.drawn(collector.prompts.train[3:], "0", 3).responses
    assert len({said(r) for row in whole.responses for r in row}) > 5, "they are draws"


def test_another_rollout_draws_others_and_the_same_one_the_same() -> None:
    collector = drawing()
    draws = [collector.drawn(collector.prompts.train, name, 3).responses for name in ("0", "0", "1")]
    assert draws[0] == draws[1] != draws[2]


def test_phases_are_timed() -> None:
    hand = Hand(("algo=rloo", "sft=none"), [TWO], [[0.0, 1.0]])
    hand.collector.rollout([0], 0)
    taken = hand.collector.clock.take()
    assert taken.keys() == {"sample", "annotate"} and all(s >= 0 for s in taken.values())
    assert hand.collector.clock.take() == {}


@dataclasses.dataclass(frozen=True)
class OfPairs(Told):
    """Says nothing of a response alone."""

    compares = True

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        assert all(len(record.responses) > 1 for record in records), "one alone is an error"
        return super().judge(records, desk)


def held_out(annotator: Any, *overrides: str) -> dict[str, float]:
    hand = Hand(("algo=rloo", "sft=none", *overrides), [TWO, [[5, 5, 5]]], [[0.0, 1.0], [3.0]])
    told, collector = hand.parts.annotator, hand.collector
    collector.parts = dataclasses.replace(hand.parts, annotator=annotator(told.scores))
    collector.prompts = dataclasses.replace(collector.prompts, test=[prompt(1), prompt(1)])
    return held_out_samples(collector)


def test_held_out_samples_are_judged_where_one_alone_can_be() -> None:
    ends = {"eval/sample_length": 3.0, "eval/sample_finished": 0.0}
    assert held_out(Told) == {"eval/sample_score": 3.0, **ends}
    assert held_out(OfPairs) == ends
    assert held_out(Told, "feedback=preference") == ends
    assert held_out(Told, "reward_form=win_rate") == ends
