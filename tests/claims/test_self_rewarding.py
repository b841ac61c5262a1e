"""The script runs, its arithmetic is right by hand, and the page says what was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from xpo.annotator.self import points as read
from xpo.claims.measure import run_here
from xpo.claims.self_rewarding import __main__ as script
from xpo.claims.self_rewarding.lessons import HELD_OUT, OPENINGS, Lessons, points
from xpo.claims.self_rewarding.measured import Measured, agreement, expected_reward
from xpo.claims.self_rewarding.page import broken, estimate, gains, page
from xpo.gold.world import World

TINY = Lessons(World(prompts=2, symbols=3, max_symbols=2, seed=1), seed=1, shown=1, spoilt=0)


def test_points_are_sixths_by_hand() -> None:
    """Twelve responses, two to each point; of equal ones each earns what the least of them does."""
    reward_XN = torch.tensor([[0.0, 11, 2, 9, 4, 7, 6, 5, 8, 3, 10, 1], [0.0] * 6 + [1.0] * 6])
    assert points(reward_XN).tolist() == [[0, 5, 1, 4, 2, 3, 3, 2, 4, 1, 5, 0], [0] * 6 + [3] * 6]


def test_what_is_no_answer_earns_the_least() -> None:
    """Half of the mass on a reward of 4, a quarter on 2, a quarter on nothing; the least is -1."""
    logp = [[math.log(0.5), math.log(0.25), -math.inf], [0.0, -math.inf, -math.inf]]
    reward_Q, formed = expected_reward(torch.tensor(logp), torch.tensor([[4.0, 2.0, -1.0], [3.0, 1.0, 0.0]]))
    assert reward_Q.tolist() == pytest.approx([2.25, 3.0])
    assert formed == pytest.approx(0.875)


def test_agreement_is_of_the_responses_that_were_judged() -> None:
    """Ranks 2 1 3 4 against 1 2 3 4: 1 - 6 (1 + 1) / (4 x 15) = 0.8; the other prompt is judged backwards."""
    reward_XN = torch.tensor([[10.0, 0.0, 30.0, 20.0, 40.0], [1.0, 2.0, 3.0, 4.0, 9.0]])
    chosen_XH = torch.tensor([[0, 3, 2, 4], [0, 1, 2, 3]])
    judged_XH = torch.tensor([[2.5, 1.0, 3.0, 4.5], [5.0, 4.0, 3.0, 0.5]])
    assert agreement(judged_XH, reward_XN, chosen_XH) == pytest.approx((0.8 - 1.0) / 2)
    moved_XH = chosen_XH.roll(1, 1)  # judgements of other responses than those that are asked about
    assert agreement(judged_XH, reward_XN, moved_XH) != pytest.approx((0.8 - 1.0) / 2)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def judged(folder: Path, lessons: Lessons) -> list[tuple[str, int]]:
    """Questions and points of the lessons in judging."""
    lessons.write(folder)
    found = [
        (row["prompt"][0]["content"], row["completion"][0]["content"])
        for row in lines(folder / "lessons.jsonl")
    ]
    pairs = [(question, read(answer)) for question, answer in found if answer.startswith("Score")]
    return [(question, score) for question, score in pairs if score is not None]


def test_lessons_say_what_the_policy_is_asked_later(tmp_path: Path) -> None:
    found = judged(tmp_path, TINY)
    assert len(found) == 2 * 6 * 2, "half of 12 responses to each of 2 prompts, in 2 wordings"
    answers, points_XN = TINY.world.response_texts, points(TINY.world.reward_XN)
    right = {
        f"rate Human: {text} {answers[n]}": int(points_XN[x, n])
        for x, text in zip(TINY.x_Q.tolist(), TINY.texts_Q, strict=True)
        for n in TINY.taught_XM[x].tolist()
    }
    assert all(right[question] == score for question, score in found)
    first = TINY.world.prompt_texts[0]
    asked = {question.split(f"{first} ")[1] for question, _ in found if first in question}
    assert asked == {answers[n] for n in TINY.taught_XM[0].tolist()}
    assert not asked & {answers[n] for n in TINY.held_XH[0].tolist()}


def test_spoilt_answers_are_none_and_earn_nothing(tmp_path: Path) -> None:
    found = judged(tmp_path, Lessons(TINY.world, TINY.seed, shown=1, spoilt=3))[24:]
    assert len(found) == 3 * len(TINY.texts_Q) and {score for _, score in found} == {0}
    known = set(TINY.world.response_texts)
    for (question, _), text in zip(found, [t for t in TINY.texts_Q for _ in range(3)], strict=True):
        assert question.startswith(f"rate Human: {text}")
        assert question.removeprefix(f"rate Human: {text}").strip() not in known


def test_shuffled_scores_are_the_same_ones_elsewhere(tmp_path: Path) -> None:
    """The broken variant: the form and the frequency of judgements stay, their sense does not."""
    mixed = Lessons(TINY.world, TINY.seed, shown=1, spoilt=0, shuffled=True)
    right, wrong = judged(tmp_path / "right", TINY), judged(tmp_path / "wrong", mixed)
    assert [question for question, _ in right] == [question for question, _ in wrong]
    assert right != wrong
    assert sorted(score for _, score in right) == sorted(score for _, score in wrong)


def test_prompts_of_rounds_and_held_out_ones_share_no_wording(tmp_path: Path) -> None:
    TINY.write(tmp_path)
    words = {
        name: {row["prompt"][0]["content"].split()[0] for row in lines(tmp_path / f"{name}.jsonl")}
        for name in ("prompts", "held_out")
    }
    assert words["held_out"] == set(HELD_OUT)
    assert words["prompts"] == set(OPENINGS) - set(HELD_OUT)


def test_numbers_of_a_seed() -> None:
    one = Measured(torch.tensor([1.0, 2.0, 6.0]), 0.9, 0.5)
    assert script.series([one], [False, False, True]) == {
        "reward": [1.5],
        "reward, held out": [6.0],
        "judging": [0.5],
        "formed": [0.9],
    }


def seeds(*rewards: list[float]) -> list[dict[str, list[float]]]:
    same = [0.5] * len(rewards[0])
    return [{"reward": r, "reward, held out": r, "judging": same, "formed": same} for r in rewards]


def test_what_must_hold() -> None:
    """Gains 1 and 2: mean 1.5, half of the interval 12.706 x 0.7071 / sqrt(2) = 6.353."""
    wide = seeds([0.0, 0.5, 1.0], [0.0, 1.0, 2.0])
    assert estimate(gains(wide, "reward")) == pytest.approx((1.5, 6.353))
    rises = seeds([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    still = seeds([0.0, 0.0, 0.1], [0.0, 0.0, -0.1])
    assert broken({"taught": rises, "shuffled": still}) == []
    assert broken({"taught": wide, "shuffled": still}) == ["the interval of the gain lies above 0"]
    assert len(broken({"taught": rises, "shuffled": rises})) == 2
    dips = seeds([0.0, 1.2, 1.0], [0.0, 1.2, 1.0])
    assert broken({"taught": dips, "shuffled": still}) == ["the mean reward rises in every round"]


def test_the_page_has_what_was_measured() -> None:
    found = json.loads((script.DOCS / "self_rewarding.json").read_text())
    assert page(found) in (script.DOCS / "self_rewarding.md").read_text()
    assert not broken(found)
    assert [len(runs) for runs in found.values()] == [5, 5]


def in_this_process(claim: str, arguments: Sequence[str], folder: Path) -> dict[str, float]:
    """``python -m xpo ...`` without the start of a process."""
    return run_here(claim, [each for each in arguments[3:] if not each.startswith("hydra.run.dir=")], folder)


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps of rounds, after as many of imitation as a well-formed judgement needs."""
    tiny = ["model.hidden=32", "optimizer.lr=0.005", "trainer.batch_size=32"]
    few = ["sampling.responses=2", "schedule.rounds=2", "eval.samples=1"]
    runs = {"lessons": [*script.RUNS["lessons"], *tiny], "rounds": [*script.RUNS["rounds"], *few]}
    monkeypatch.setattr(script, "RUNS", {**script.RUNS, **runs})
    monkeypatch.setattr(script, "VARIANTS", {"taught": False})
    monkeypatch.setattr(script, "metrics_of", in_this_process)
    sizes = ["--prompts", "2", "--symbols", "1", "--held", "3", "--lessons", "200"]
    assert script.main([*sizes, "--seeds", "1", "--steps", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "| fine-tuned on gold scores | gold reward, prompts that rounds answer | " in printed
    (found,) = tmp_path.glob("*/measured.json")
    assert [len(values) for values in json.loads(found.read_text()).values()] == [3] * 4
