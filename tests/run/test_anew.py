"""What goes and what stays where a run begins anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from xpo.run import anew as file
from xpo.run.anew import begin_anew
from xpo.run.files import OutputError

GOES = (
    *("summary.json", "checkpoints/samples-001.pt", "checkpoints/align-2/step-00000003.ckpt"),
    *("checkpoints/ratings.json", "checkpoints/average.safetensors", "model/config.json", "metrics.jsonl"),
    *("reward_model/summary.json", "reward_model-002/model/config.json", "held_out_reward_model/a"),
    *("society.jsonl", "samples.jsonl", "csv/metrics.csv", "manifest.json"),
)
STAYS = (
    *("config.yaml", "to_label.jsonl", "judge.json", ".hydra/config.yaml", "cache/sft/a.safetensors"),
    *("notes.txt", "my_model/config.json", "reward_model-mine/a", "console.log"),
)


def used(out: Path) -> Path:
    for name in (*GOES, *STAYS):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    return out


def files(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_what_runs_write_goes_and_all_else_stays(tmp_path: Path) -> None:
    begin_anew(used(tmp_path), {"data": {"path": None}, "cache": str(tmp_path / "cache")})
    assert files(tmp_path) == set(STAYS)
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / file.TAKEN).exists()


@pytest.mark.parametrize("missing", ["config.yaml", "manifest.json"])
def test_a_folder_that_no_run_wrote_is_left_as_it_is(tmp_path: Path, missing: str) -> None:
    (used(tmp_path) / missing).unlink()
    begin_anew(tmp_path, {})
    assert files(tmp_path) == {*GOES, *STAYS} - {missing}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (lambda out: {"model": {"name": "hf", "path": f"{out}/model"}}, "model.path"),
        (lambda out: {"annotator": {"overrides": ["a=2", f"b={out}/samples.jsonl"]}}, "annotator.overrides"),
        (lambda out: {"cache": f"{out}/checkpoints/cache"}, "cache"),
    ],
)
def test_what_this_run_reads_is_not_taken_away(tmp_path: Path, config: Any, key: str) -> None:
    used(tmp_path)
    with pytest.raises(OutputError, match=f"takes away .*, which {key}=.* reads. Choose another folder"):
        begin_anew(tmp_path, config(tmp_path))
    assert files(tmp_path) == {*GOES, *STAYS}


def test_a_name_of_an_option_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (used(tmp_path) / "reference").mkdir()
    monkeypatch.chdir(tmp_path)
    begin_anew(tmp_path, {"sampling": {"name": "reference"}})
    assert files(tmp_path) == set(STAYS)


def test_killed_while_it_takes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is seen by the next run, whichever way that begins."""

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            begin_anew(used(tmp_path), {})
    assert not (tmp_path / "summary.json").exists() and not (tmp_path / "checkpoints").exists()
    begin_anew(tmp_path, {})
    assert files(tmp_path) == set(STAYS) and not (tmp_path / file.TAKEN).exists()


def test_a_folder_that_cannot_be_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OutputError, match="resume=never cannot take away .*Permission denied"):
        begin_anew(used(tmp_path), {})
