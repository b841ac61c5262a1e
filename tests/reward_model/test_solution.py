"""Scores of solutions against hand products, and of tokens against ends told by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.handmade import merging
from tests.reward_model.folders import leave, meaning, policy
from xpo.annotator.base import Desk
from xpo.annotator.reward_model import RewardModel
from xpo.data.record import Record, Step
from xpo.errors import UserError
from xpo.reward_model.saved import load_reward
from xpo.reward_model.solution import judged_parts, log_score, rewards, token_scores

ODDS = [3.0, 1.0, 1 / 3]  # probabilities 3/4, 1/2, 1/4


def logits(*odds: float) -> torch.Tensor:
    return torch.tensor([math.log(one) for one in odds], dtype=torch.float64)


@pytest.mark.parametrize(("how", "score"), [("product", 3 / 32), ("minimum", 1 / 4), ("mean", 1 / 2)])
def test_a_solutions_score_by_hand(how: str, score: float):
    assert log_score(logits(*ODDS), how).exp().item() == pytest.approx(score, rel=1e-12)
    single = log_score(logits(3.0), how).exp().item()
    assert single == pytest.approx(3 / 4, rel=1e-12)
    assert log_score(torch.stack([logits(*ODDS), logits(1, 1, 1)]), how).shape == (2,)


def test_what_a_score_is_has_to_be_known():
    with pytest.raises(ValueError, match="one of product, minimum, mean, got 'sum'"):
        log_score(logits(*ODDS), "sum")


def test_three_hundred_steps_do_not_underflow():
    """(1/1001)^300 is 10^-900: no float has it, its logarithm is -300 log 1001."""
    unsure = logits(*[0.001] * 300)
    assert torch.sigmoid(unsure).prod().item() == 0
    assert log_score(unsure).item() == pytest.approx(-300 * math.log(1001), rel=1e-12)
    assert log_score(unsure, "mean").item() == pytest.approx(-math.log(1001), rel=1e-12)
    worse = torch.full((300,), -2000.0)  # in float32, where sigmoid is 0
    assert log_score(worse).item() == pytest.approx(-600_000)
    assert log_score(worse, "minimum").item() == pytest.approx(-2000)
    sure = torch.full((300,), 40.0)
    assert -1e-14 < log_score(sure).item() < 0


MERGES = (".", "Ċ"), ("æ", "¼")
SOLUTIONS = Record("Q:", ("aé.\n漢\nb\nc🙂", "one\n\n two"), where="f:1")
ENDS = (4, 6, 8, 14), (3, 9)
"""Tokens up to the end of each step; see tests/data/test_nested.py for the first."""


def folder(tmp_path: Path, level: dict[str, Any] | None = None, members: int = 1, **told: Any) -> str:
    spelling = merging(*MERGES)
    level = {"name": "step", "neutral": "good"} if level is None else level
    offset = (0.0,) * members
    return leave(
        tmp_path / "model",
        policy(spelling=spelling),
        meaning(offset=offset, reward_level=level, **told),
        spelling,
    )


def fed_alone(path: str, prompt: str, said: str, sizes: tuple[int, ...]) -> torch.Tensor:
    """Members x parts: plain transformers, given the tokens up to each end."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(path)
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    head = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    ids = tokenizer(said, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        return torch.stack([model(torch.tensor([head + ids[:size]])).logits[0] for size in sizes], 1)


def test_each_step_is_what_transformers_says_of_the_text_up_to_it(tmp_path: Path):
    path = folder(tmp_path, members=2)
    ((first, second),) = judged_parts(load_reward(path), [SOLUTIONS])
    assert [part.end for part in first.parts] == [3, 5, 7, 10] and [p.end for p in second.parts] == [3, 9]
    for judged, said, sizes in zip((first, second), SOLUTIONS.responses, ENDS, strict=True):
        expected = fed_alone(path, "Q:", str(said), sizes)
        assert judged.logit_MS.shape == (2, len(sizes))
        torch.testing.assert_close(judged.logit_MS, expected, rtol=1e-4, atol=1e-5)


def test_steps_that_the_record_marks_win_over_the_rule(tmp_path: Path):
    saved = load_reward(folder(tmp_path))
    marked = dataclasses.replace(SOLUTIONS, steps=((Step(1), Step(10)), None))
    ((first, second),) = judged_parts(saved, [marked])
    assert [part.end for part in first.parts] == [1, 10] and len(second.parts) == 2


@pytest.mark.parametrize(
    ("level", "told", "text", "ends"),
    [
        ({"name": "step", "neutral": "good"}, {"step_separator": "; "}, "a\nb; c", [3, 6]),
        ({"name": "span", "segments": "sentence", "span_type": "X"}, {}, "It is. So, no.", [6, 14]),
        ({"name": "span", "segments": "subsentence", "span_type": None}, {}, "It is. So, no.", [6, 10, 14]),
    ],
)
def test_the_rule_of_training_is_in_the_folder(
    tmp_path: Path, level: dict[str, Any], told: dict[str, Any], text: str, ends: list[int]
):
    path = folder(tmp_path, level, **told)
    ((judged,),) = judged_parts(load_reward(path), [Record("Q:", (text,))])
    assert [part.end for part in judged.parts] == ends
    assert json.loads((Path(path) / "config.json").read_text())["xpo"]["reward_level"] == level


def test_token_scores_stand_where_parts_end(tmp_path: Path):
    saved = load_reward(folder(tmp_path))
    ((first, second),) = judged_parts(saved, [SOLUTIONS])
    found = token_scores(saved, [SOLUTIONS], saved.tokenizer)
    assert found.shape == (1, 2, 15)  # 14 tokens and EOS
    for judged, row_T, sizes in zip((first, second), found[0], ENDS, strict=True):
        assert row_T.nonzero().flatten().tolist() == [size - 1 for size in sizes]
        torch.testing.assert_close(row_T[row_T != 0], judged.logit_MS[0].double(), rtol=1e-6, atol=1e-6)
    shares = token_scores(saved, [SOLUTIONS], saved.tokenizer, torch.sigmoid)
    assert shares[0, 1, 2].item() == pytest.approx(torch.sigmoid(second.logit_MS[0, 0]).item())


def test_a_policys_tokens_may_be_others_than_the_models(tmp_path: Path):
    """One that has b, the line break and c as one token: the step b ends within it."""
    saved = load_reward(folder(tmp_path))
    merged = merging(("ð", "Ł"), ("Ļ", "Ĥ"), ("b", "Ċ"), ("bĊ", "c"))
    ((first, _),) = judged_parts(saved, [SOLUTIONS])
    found = token_scores(saved, [SOLUTIONS], merged)[0, 0]
    # a Ã © . Ċ æ ¼ ¢ Ċ bĊc ðŁ ĻĤ: ends of ".", of 漢, of b within bĊc, and of the last character
    assert found.nonzero().flatten().tolist() == [3, 7, 9, 11]
    torch.testing.assert_close(found[found != 0], first.logit_MS[0].double(), rtol=1e-6, atol=1e-6)


def test_parts_that_end_in_one_token_add_up(tmp_path: Path):
    saved = load_reward(folder(tmp_path))
    record = Record("Q:", ("xyz",), steps=((Step(1), Step(2), Step(3)),))
    ((judged,),) = judged_parts(saved, [record])
    found = token_scores(saved, [record], merging(("x", "y")))[0, 0]
    one, two, three = judged.logit_MS[0].double().tolist()
    assert found.tolist() == pytest.approx([one + two, three, 0])


def test_an_annotator_scores_solutions(tmp_path: Path):
    path = folder(tmp_path)
    ((first, second),) = judged_parts(load_reward(path), [SOLUTIONS])
    for how, expected in {
        None: [torch.sigmoid(judged.logit_MS[0]).prod().log().item() for judged in (first, second)],
        "minimum": [torch.sigmoid(judged.logit_MS[0]).min().log().item() for judged in (first, second)],
        "mean": [torch.sigmoid(judged.logit_MS[0]).mean().log().item() for judged in (first, second)],
    }.items():
        desk = Desk(tmp_path / str(how))
        (told,) = RewardModel(path, parts=how)([SOLUTIONS], desk)  # pyright: ignore
        assert told.scores == pytest.approx(expected, rel=1e-5)


def test_a_model_of_whole_responses_has_no_parts(tmp_path: Path):
    path = leave(tmp_path / "model")
    saved = load_reward(path)
    with pytest.raises(UserError, match="scores whole responses, and knows no parts"):
        next(judged_parts(saved, [SOLUTIONS]))
    assert next(rewards(saved, [SOLUTIONS]))[0].reward_BK.shape == (2,)
    with pytest.raises(ValueError, match="parts=mean is not read"):
        RewardModel(path, parts="mean")


def test_parts_beyond_the_window_have_no_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """64 tokens: of BOS, "Q:" and "a\\n" 60 times, each byte a token, 61 of the response stay: 31 parts."""
    path = folder(tmp_path)
    saved = load_reward(path)
    long, one = (
        Record("Q:", ("a\n" * 60, "one\n\n two"), where="f:9"),
        Record("Q:", ("b" * 90,), where="f:10"),
    )
    ((judged, short),) = judged_parts(saved, [long])
    assert [part.end for part in judged.parts] == list(range(1, 62, 2)) and len(short.parts) == 2
    torch.testing.assert_close(judged.logit_MS, fed_alone(path, "Q:", "a\n" * 60, tuple(range(1, 62, 2))))
    assert saved.reader.counts.noted == {"part cut off": 29}
    ((cut,),) = judged_parts(saved, [one])
    torch.testing.assert_close(cut.logit_MS, fed_alone(path, "Q:", "b" * 90, (61,)))
    assert saved.reader.counts.noted == {"part cut off": 29, "first part cut": 1}
    RewardModel(path)([long, one], Desk(tmp_path / "cache"))
    assert "model's window: first part cut 1 times, part cut off 29 times" in capsys.readouterr().out


def test_what_cannot_be_read_is_the_row_whose_turn_it_is(tmp_path: Path):
    """After what was said of the rows before it, and once."""
    path = folder(tmp_path)
    blank = Record("Q:", (" \n",), where="f:7")
    found = judged_parts(load_reward(path), [SOLUTIONS, blank])
    assert len(next(found)) == 2
    with pytest.raises(UserError, match="^f:7: a response has no text that could be scored"):
        next(found)
    with pytest.raises(UserError, match="^f:7: a response has no text"):
        RewardModel(path)([SOLUTIONS, blank], Desk(tmp_path / "cache"))


def test_broken_scores_are_caught(monkeypatch: pytest.MonkeyPatch):
    from xpo.reward_model import solution

    monkeypatch.setitem(solution.SCORES, "product", lambda logp_S: logp_S.mean(-1))
    with pytest.raises(AssertionError):
        test_a_solutions_score_by_hand("product", 3 / 32)
    monkeypatch.setitem(solution.SCORES, "minimum", lambda logp_S: logp_S.amax(-1))
    with pytest.raises(AssertionError):
        test_a_solutions_score_by_hand("minimum", 1 / 4)
