"""Files of a run: whole or absent, valid JSON, and clear errors where a folder cannot be written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from xpo.run.files import OutputError, metric_line, output_folder, plain, read_json, write_json, write_text
from xpo.run.manifest import Manifest, hash_text, write_manifest
from xpo.run.summary import read_summary, write_summary


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "a.json", "old")

    def broken(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OutputError, match="cannot write .*a.json: No space left"):
        write_text(path, "new")
    assert (path.read_text(), [p.name for p in tmp_path.iterdir()]) == ("old", ["a.json"])


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_text(tmp_path / "a.json", "old")
    replace, seen = os.replace, []

    def watched(source: Path, target: Path) -> None:
        seen.append((path.read_text(), Path(source).read_text()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_text(path, "new")
    assert seen == [("old", "new")]
    assert path.read_text() == "new"


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the output folder .*hydra.run.dir="):
        output_folder(tmp_path / "file" / "run")


def test_a_read_only_folder_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)  # root may write everywhere
    with pytest.raises(OutputError, match="Permission denied"):
        output_folder(tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match="cannot read .*manifest.json"):
        read_json(tmp_path / "manifest.json")


def strict(text: str) -> object:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_stay_valid_json(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    line = metric_line({"loss": nan, "x": -inf, "y": 1.5}, step=3)
    assert strict(line) == {
        "step": 3,
        "loss": None,
        "x": None,
        "y": 1.5,
        "nonfinite": {"loss": "nan", "x": "-inf"},
    }
    assert line.endswith("}\n")
    path = write_json(tmp_path / "a.json", {"a": [nan, inf], "path": tmp_path, 3: (1, None, True)})
    assert strict(path.read_text()) == {"a": ["nan", "inf"], "path": str(tmp_path), "3": [1, None, True]}
    assert plain({"b", "a"}) == ["a", "b"]


def test_manifest_records_merges_and_survives_a_restart(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.record(hashes={"data": "d"}, formula="-log sigmoid(gap)", seeds={"run": 3})
    manifest.record(hashes={"tokenizer": "t"})
    with manifest.stage("sft", steps=2) as entry:
        entry["skipped_rows"] = 1
    manifest.skip("reference", "reference=none")
    begun = read_json(tmp_path / "manifest.json")
    write_manifest(tmp_path, dropped_rows={"too long": 4})
    found = read_json(tmp_path / "manifest.json")
    assert found["hashes"] == {"data": "d", "tokenizer": "t"}
    assert found["dropped_rows"] == {"too long": 4}
    assert found["started"] == begun["started"]
    assert [(s["name"], s["status"]) for s in found["stages"]] == [("sft", "done"), ("reference", "skipped")]
    assert (found["stages"][0]["steps"], found["stages"][0]["skipped_rows"]) == (2, 1)
    assert found["packages"]["torch"] and found["python"].count(".") == 2


def test_a_stage_that_fails_says_so(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    with pytest.raises(RuntimeError), manifest.stage("align"):
        assert read_json(manifest.path)["stages"][0]["status"] == "running"
        raise RuntimeError("out of memory")
    stage = read_json(manifest.path)["stages"][0]
    assert (stage["status"], stage["error"]) == ("failed", "RuntimeError: out of memory")
    assert stage["seconds"] >= 0


def test_an_unknown_fact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no \\['formulae'\\]"):
        Manifest(tmp_path).record(formulae="x")


def test_hashes_tell_boundaries_apart() -> None:
    assert hash_text("ab", "c") != hash_text("a", "bc")
    assert len(hash_text("")) == 64


def test_summary(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    write_summary(tmp_path, "done", {"gold/reward": 0.5, "loss": float("nan")}, 12.3456, algo="dpo", seed=1)
    assert read_summary(tmp_path) == {
        "status": "done",
        "seconds": 12.346,
        "metrics": {"gold/reward": 0.5, "loss": None},
        "algo": "dpo",
        "seed": 1,
    }
