"""What a run that samples lacks is said before it trains, and mostly before a model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.on_policy.files import small
from tests.sampler.small import policy_of
from tests.sampler.stand_in import standing_in
from tests.stages.tiny import run_here
from xpo.errors import UserError

ANSWER = ["annotator=rule", "annotator.rules=[{name: answer}]", "data.format=prompts"]
MARKED = [*ANSWER, "annotator.rules=[{name: answer, marker: '####'}]"]
STAGES = [f"sft={name}" for name in ("separate", "merged", "both")]


def refused(tmp_path: Path, *arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *arguments))
    return str(caught.value)


def stages(tmp_path: Path) -> list[Any]:
    return json.loads((tmp_path / "run" / "manifest.json").read_text())["stages"]


def questions(tmp_path: Path, rows: list[tuple[str, str | None]]) -> str:
    path = tmp_path / "questions.jsonl"
    told = [{"prompt": p} | ({} if a is None else {"answer": a}) for p, a in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in told))
    return f"data.path={path}"


@pytest.mark.parametrize("sft", STAGES)
def test_prompts_alone_demonstrate_nothing(tmp_path: Path, sft: str) -> None:
    said = refused(tmp_path, sft)
    assert "the rows are prompts alone" in said and "data.demonstrations" in said and "sft=none" in said


def test_the_likelihood_of_samples_needs_no_demonstration(tmp_path: Path) -> None:
    """It is imitated what was sampled."""
    setting = ["algo=dpo", "sampling=on_policy", "sampling.responses=3", "sft=merged", "trainer.steps=1"]
    run_here(tmp_path / "run", *small(tmp_path, tmp_path / "run", *setting))


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([("a", "1"), ("b", None)], ANSWER, "questions.jsonl:2: this row has no answer"),
        (
            [("a", "1"), ("b", "2"), ("a", "3")],
            ANSWER,
            r":3: the right answer to this prompt is '3', and in ",
        ),
        ([("a", "#### x"), ("b", "y"), ("a", "z")], MARKED, ":3: the right answer"),
    ],
)
def test_answers_are_there_and_agree(
    tmp_path: Path, rows: list[tuple[str, str | None]], settings: list[str], said: str
) -> None:
    assert said in refused(tmp_path, *settings, questions(tmp_path, rows))
    assert not stages(tmp_path)


def test_an_answer_that_is_taken_for_a_demonstration(tmp_path: Path) -> None:
    rows: list[tuple[str, str | None]] = [("a", "1"), ("b", "2")]
    said = refused(tmp_path, *ANSWER[:2], questions(tmp_path, rows))
    assert "data.format=prompts" in said and not stages(tmp_path)


@pytest.mark.parametrize("settings", [ANSWER, MARKED])
def test_what_is_asked_twice_is_counted(tmp_path: Path, settings: list[str], capsys: Any) -> None:
    """The same answer in other words is no contradiction."""
    same = "so it is 4.0" if settings is ANSWER else "2 + 2\n#### 4.0"
    rows: list[tuple[str, str | None]] = [("a", "4"), ("b", "5"), ("a", same), ("c", "6"), ("a", "4")]
    more = ["data.test_fraction=0", "trainer.steps=1", "trainer.batch_size=2"]
    run_here(
        tmp_path / "run", *small(tmp_path, tmp_path / "run", *settings, questions(tmp_path, rows), *more)
    )
    counted = json.loads((tmp_path / "run" / "manifest.json").read_text())["dropped_rows"]["train"]
    assert counted["read"] == 5 and counted["kept"] == 3
    assert counted["dropped"] == {"prompt that came before": 2}
    assert "2  prompt that came before" in capsys.readouterr().out


@pytest.mark.parametrize(
    "settings",
    [
        ["annotator=reward_model", "annotator.path=/nowhere/model"],
        ["annotator=weighted", "annotator.models=[{path: /nowhere/model}]"],
        ["annotator=direct", "annotator.path=/nowhere/model"],
        [
            "annotator=implicit",
            "annotator.path=/nowhere/model",
            "annotator.reference=x/y",
            "annotator.beta=1",
        ],
    ],
)
def test_judges_that_are_not_there(tmp_path: Path, settings: list[str]) -> None:
    arguments = [a for a in small(tmp_path, tmp_path / "run") if not a.startswith("annotator")]
    with pytest.raises(UserError, match=r"annotator\.\w+=/nowhere/model: there is no such folder"):
        run_here(tmp_path / "run", *arguments, *settings)
    assert not stages(tmp_path)


def test_a_server_of_another_model(tmp_path: Path) -> None:
    with standing_in(policy_of(), name="base") as server:
        served = [f"sampling.server={server.url}/", f"sampling.server_folder={tmp_path}"]
        assert f"{server.url} serves base, not policy" in refused(tmp_path, *served)
    assert not stages(tmp_path)


def test_a_reward_model_is_trained_on_responses(tmp_path: Path) -> None:
    arguments = [a for a in small(tmp_path, tmp_path / "run") if not a.startswith("annotator")]
    with pytest.raises(UserError, match="annotator=trained trains a reward model on the data's own compar"):
        run_here(tmp_path / "run", *arguments, "annotator=trained")
