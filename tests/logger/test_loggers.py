"""Loggers: what they leave in the run's folder, and what they say when they cannot."""

from __future__ import annotations

import csv
import importlib.util
import time
from pathlib import Path

import pytest

from xpo import registry
from xpo.errors import UserError
from xpo.logger.many import Many
from xpo.logger.wandb import Wandb
from xpo.run.log import MetricLog, RunInfo


def run(option: object, directory: Path) -> None:
    info = RunInfo(directory, "a-run", {"optimizer": {"lr": 1e-3}, "tags": ["x"]}, ("dpo",))
    with MetricLog(info, option) as log:  # pyright: ignore[reportArgumentType]
        log.log({"loss": 0.75}, 1)
        log.log({"loss": 0.5, "late": 2.0}, 2)


@pytest.mark.parametrize("name", ["jsonl", "none"])
def test_without_a_service_there_is_metrics_jsonl_alone(name: str, tmp_path: Path) -> None:
    run(registry.component("logger", name)(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_csv_copes_with_late_metrics(tmp_path: Path) -> None:
    run(registry.component("logger", "csv")(), tmp_path)
    with (tmp_path / "csv" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["loss"], row["late"]) for row in rows] == [
        ("1", "0.75", ""),
        ("2", "0.5", "2.0"),
    ]


def test_tensorboard_writes_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(registry.component("logger", "tensorboard")(), tmp_path)
    events = list((tmp_path / "tensorboard").glob("events.*"))
    assert len(events) == 1 and events[0].stat().st_size > 100


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'xpo\[tensorboard\]'"):
        run(registry.component("logger", "tensorboard")(), tmp_path)


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.mark.usefixtures("no_key")
def test_wandb_without_a_key_is_offline_and_saves_the_config(tmp_path: Path) -> None:
    assert Wandb().resolved_mode() == "offline"
    run(Wandb(group="g", tags=("t",)), tmp_path)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    for _ in range(100):  # a process of wandb's own writes the file, after the run has ended
        stored = b"".join(path.read_bytes() for path in folder.glob("*.wandb"))
        if b"optimizer" in stored and b"late" in stored:
            return
        time.sleep(0.2)
    raise AssertionError(f"config or metrics never came: {len(stored)} bytes")


@pytest.mark.usefixtures("no_key")
def test_wandb_is_online_only_with_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="logger.mode=online needs an API key"):
        Wandb(mode="online").resolved_mode()
    (tmp_path / "no-netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert Wandb().resolved_mode() == "online"
    (tmp_path / "no-netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert Wandb().resolved_mode() == "online"
    assert Wandb(mode="disabled").resolved_mode() == "disabled"


def test_many_opens_each(tmp_path: Path) -> None:
    run(Many(("csv", "jsonl")), tmp_path)
    assert (tmp_path / "csv").is_dir()


def test_many_refuses_what_is_no_logger() -> None:
    with pytest.raises(ValueError, match="loggers must name options out of csv, .*got 'cvs'"):
        Many(("cvs",))
    with pytest.raises(ValueError, match="each option once"):
        Many(("csv", "csv"))
    with pytest.raises(ValueError, match="got 'many'"):
        Many(("many",))
