"""Process, outcome, span and token reward models: small real runs, from files to folders that score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages.tiny import SIZES, STAGE, run_here
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.reward_model.saved import load_reward
from xpo.reward_model.solution import judged_parts, rewards

TINY = (*(size for size in SIZES if not size.startswith("optimizer")), *STAGE, "trainer.steps=2")


@pytest.fixture(scope="module")
def solutions(tmp_path_factory: Any) -> Path:
    """Sums in steps: a step is wrong where it says so."""
    folder = tmp_path_factory.mktemp("solutions")
    rows = []
    for i in range(24):
        steps = [f"{i} and {j} is {'wrong' if (i + j) % 3 == 0 else 'right'}." for j in range(1 + i % 4)]
        labels = [(i + j) % 3 != 0 for j in range(1 + i % 4)]
        rows.append({"prompt": f"Add {i}:\n", "completions": steps, "labels": labels})
    path = folder / "steps.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def left(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text())


@pytest.mark.parametrize("arity", ["list", "single"])
def test_a_process_model_from_steps(solutions: Path, tmp_path: Path, arity: str) -> None:
    found = run_here(
        tmp_path, "algo=reward_prm", f"arity={arity}", *TINY, f"data.path={solutions}", f"cache={tmp_path}/c"
    )
    assert 0 <= found["eval/accuracy"] <= 1 and found["eval/share_good"] == pytest.approx(0.67, abs=0.15)
    saved = load_reward(str(tmp_path / "model"))
    solution = Record("Add 3:\n", ("3 and 0 is wrong.\n3 and 1 is right.",))
    ((judged,),) = judged_parts(saved, [solution])
    assert [part.end for part in judged.parts] == [17, 35]
    ((opinion,),) = rewards(saved, [solution])
    assert opinion.reward_BK.item() == pytest.approx(torch.sigmoid(judged.logit_MS[0]).prod().log().item())
    card = (tmp_path / "model" / "README.md").read_text()
    assert "last visible character" in card and "No offset is to be taken off" in card


def test_an_outcome_model_from_the_same_file(solutions: Path, tmp_path: Path) -> None:
    """A solution is right if no step is wrong; it is read at its EOS."""
    found = run_here(tmp_path, "algo=reward_orm", *TINY, f"data.path={solutions}", f"cache={tmp_path}/c")
    assert found["eval/share_good"] < 0.7
    saved = load_reward(str(tmp_path / "model"))
    assert saved.meaning is not None and not saved.meaning.by_parts and not any(saved.meaning.offset)
    assert saved.meaning.zero


def test_a_process_model_learns_to_tell_steps_apart(solutions: Path, tmp_path: Path) -> None:
    longer = [one for one in TINY if not one.startswith("trainer.steps")]
    found = run_here(
        tmp_path,
        "algo=reward_prm",
        *longer,
        "trainer.steps=60",
        "optimizer.lr=0.01",
        f"data.path={solutions}",
        f"cache={tmp_path}/c",
    )
    assert found["eval/accuracy"] > 0.9 > found["eval/share_good"]


def test_log_ratios_of_single_steps_may_be_trained_too(solutions: Path, tmp_path: Path) -> None:
    """reward=implicit takes each step as a response to what stands before it."""
    run_here(
        tmp_path,
        "algo=kto",
        "reward_level=step",
        "arity=single",
        *TINY,
        f"data.path={solutions}",
        f"cache={tmp_path}/c",
    )
    sample = json.loads((tmp_path / "samples.jsonl").read_text().splitlines()[0])
    assert sample


@pytest.fixture(scope="module")
def real() -> Path:
    import os

    given = os.environ.get("XPO_TEST_DATA")
    if not given:
        pytest.skip("XPO_TEST_DATA names no folder with real data")
    return Path(given) / "qa_feedback.train.jsonl.gz"


LONG = ("model.max_length=512", "data.limit=16")


@pytest.mark.parametrize(
    "settings",
    [
        ("algo=reward_span", "reward_level.span_type=Irrelevant"),
        ("algo=reward_span", "reward_level.span_type=Wrong-Grounding", "reward_level.segments=subsentence"),
        ("algo=reward_orm",),
        ("algo=reward_token",),
    ],
    ids=lambda settings: "-".join(setting.split("=")[1] for setting in settings),
)
def test_two_steps_on_real_answers(real: Path, tmp_path: Path, settings: tuple[str, ...]) -> None:
    found = run_here(tmp_path, *settings, *TINY, *LONG, f"data.path={real}", f"cache={tmp_path}/c")
    assert all(value == value for value in found.values()) and "eval/loss" in found
    saved = load_reward(str(tmp_path / "model"))
    answers = Record("Question:", (" One sentence. Another, in two parts.", " One alone."))
    if settings[0] == "algo=reward_span":
        ((first, second),) = judged_parts(saved, [answers])
        assert len(first.parts) == (3 if "subsentence" in str(settings) else 2) and len(second.parts) == 1
    else:
        assert next(rewards(saved, [answers]))[0].reward_BK.shape == (2,)


def test_types_that_are_not_there_end_the_run_before_it_loads(real: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"span_type=Irelevant.*Irrelevant \(\d+\).*Did you mean 'Irr"):
        run_here(tmp_path, "algo=reward_span", "reward_level.span_type=Irelevant", *TINY, f"data.path={real}")
    assert not (tmp_path / "model").exists()
