"""What rows are silent about is said: before a run trains on it, or at the table of its rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reward_model.folders import leave, meaning, policy
from tests.stages.tiny import SIZES, STAGE, run_here
from xpo.contracts import Row
from xpo.data.errors import DataError
from xpo.data.notice import one_class
from xpo.errors import UserError
from xpo.reward_model.saved import load_reward

TINY = (*(size for size in SIZES if not size.startswith("optimizer")), *STAGE, "trainer.steps=1")
PAIR = {"prompt": "Say red:", "chosen": " red.", "rejected": " no."}


def rows(path: Path, *lines: dict[str, Any]) -> str:
    every = [{**line, "prompt": f"{line['prompt']} {i}"} for i in range(12) for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in every))
    return f"data.path={path}"


def test_labels_of_one_class():
    good, bad = (Row([1], [[2]], good=[float(not wrong)], bad=[float(wrong)]) for wrong in (False, True))
    said = list(one_class([good, good], [bad]))
    assert len(said) == 2 and "all labels of train are good" in said[0] and "of test are bad" in said[1]
    assert list(one_class([good, bad], [good]))[0].startswith("note: all labels of test are good")
    assert not list(one_class([good, bad], [bad, good])) and not list(one_class([Row([1], [[2]])], []))


def test_a_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = rows(tmp_path / "good.jsonl", {"prompt": "Say red:", "completion": " red.", "label": True})
    found = run_here(tmp_path, "algo=reward_orm", *TINY, data, f"cache={tmp_path}/c")
    said = capsys.readouterr().out
    assert "all labels of train are good" in said and "all labels of test are good: accuracy on them" in said
    assert found["eval/share_good"] == 1 and "labels told right" in said and "of the labels, good" in said


def test_plain_pairs_have_no_steps(tmp_path: Path):
    data = rows(tmp_path / "pairs.jsonl", PAIR)
    said = r"pairs.jsonl:\d+: reward_level=step with .* needs rows whose steps have labels, .*completions"
    with pytest.raises(DataError, match=said):
        run_here(tmp_path, "algo=reward_prm", *TINY, data, f"cache={tmp_path}/c")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (("algo=step_dpo",), PAIR),
        (("algo=reward_bt", "reward_level=step"), PAIR),
        (("algo=reward_prm", "arity=single"), {"prompt": "Say red:", "completion": " red.", "label": True}),
    ],
    ids=["pairs of steps", "pairs of steps and a head", "single steps"],
)
def test_single_steps_go_on_working(tmp_path: Path, settings: tuple[str, ...], line: dict[str, Any]):
    data = rows(tmp_path / "rows.jsonl", line)
    assert "eval/loss" in run_here(tmp_path, *settings, *TINY, data, f"cache={tmp_path}/c")


def test_an_annotator_that_calls_all_bad_is_named(tmp_path: Path):
    helpful = leave(tmp_path / "helpful")
    costly = leave(tmp_path / "cost", policy(seed=1), meaning(offset=(0.0,), sign=-1))
    data = rows(tmp_path / "pairs.jsonl", PAIR)
    safety = ("annotator=safety", f"annotator.helpfulness={helpful}", f"annotator.cost={costly}")
    said = (
        r"nothing to imitate: annotator=safety calls every response of the 9 training rows bad "
        r"\(annotator.limit=-1000.0 says from where on\). Give demonstrations"
    )
    with pytest.raises(UserError, match=said):
        run_here(tmp_path, "algo=dpo", *TINY, *safety, "annotator.limit=-1000.0", data, f"cache={tmp_path}/c")


def test_the_policys_own_labels_come_after_its_fine_tuning(tmp_path: Path):
    data = rows(tmp_path / "rows.jsonl", {"prompt": "Say red:", "completions": [" red.", " no."]})
    said = r"rows.jsonl:\d+: annotator=self asks the policy, .*after the sft stage.*model=hf.*sft=none"
    with pytest.raises(DataError, match=said):
        run_here(tmp_path, "algo=dpo", "annotator=self", *TINY, data, f"cache={tmp_path}/c")


def test_rules_that_find_no_winner(tmp_path: Path):
    """Where all rows of a split tie, the setting that keeps ties is named."""
    data = rows(tmp_path / "pairs.jsonl", PAIR)
    rule = ("annotator=rule", "annotator.rules=[{name: pattern, pattern: zzz}]")
    with pytest.raises(DataError, match=r"no row of \w+ is left: .* tie \(feedback.ties=half keeps ties"):
        run_here(tmp_path, "algo=dpo", *TINY, *rule, data, f"cache={tmp_path}/c")


def test_a_runs_folder_is_no_model_but_has_one(tmp_path: Path):
    leave(tmp_path / "run" / "model")
    with pytest.raises(
        UserError, match=r"annotator.path=.*/run: .*Did you mean annotator.path=.*/run/model\?"
    ):
        load_reward(str(tmp_path / "run"), "annotator.path")
