"""Records, and a judge of a test's server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.judge.server import Server
from xpo.annotator.base import Desk
from xpo.annotator.judge import Judge
from xpo.data.record import Record


def record(*responses: str, line: int = 1, prompt: str = "Say something.") -> Record:
    return Record(prompt, responses, where=f"rows.jsonl:{line}")


def judge_of(server: Server, **options: Any) -> Judge:
    return Judge(url=server.url, model="m", **{"timeout": 5.0, "retries": 0, **options})


def label(judge: Judge, records: Sequence[Record], folder: Path) -> list[Record]:
    return judge(records, Desk(folder / "cache", folder / "out"))


def wins(judge: Judge, one: Record, folder: Path) -> tuple[tuple[float, ...], ...]:
    found = label(judge, [one], folder)[0].wins
    assert found is not None
    return found
