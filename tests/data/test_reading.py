"""Every kind of path gives the same rows, and everything that is no data says so once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xpo.data.errors import DataError
from xpo.data.jsonl import Jsonl

ROWS = [{"prompt": f"p{i}", "chosen": f" yes {i}", "rejected": " no"} for i in range(4)]


def read(path: str | Path, **options: Any) -> list[tuple[Any, ...]]:
    splits = Jsonl(path=str(path), test_fraction=0.0, **options).read()
    return [(record.prompt, *record.responses) for record in splits.train]


EXPECTED = [(f"p{i}", f" yes {i}", " no") for i in range(4)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.ndjson", "rows.json", "rows.json.gz"])
def test_json_lines(write: Callable[..., str], name: str) -> None:
    assert read(write(ROWS, name)) == EXPECTED


@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
def test_json_list(write: Callable[..., str], name: str) -> None:
    assert read(write(json.dumps(ROWS, indent=1), name)) == EXPECTED


def test_single_json_object_is_one_row(write: Callable[..., str]) -> None:
    assert read(write(json.dumps(ROWS[0], indent=1), "row.json")) == EXPECTED[:1]


def test_blank_lines_and_byte_order_mark(write: Callable[..., str]) -> None:
    text = "\ufeff" + "\n\n".join(json.dumps(row) for row in ROWS) + "\n \n"
    assert read(write(text)) == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == EXPECTED


def test_saved_by_datasets(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    assert read(tmp_path / "saved") == EXPECTED
    arrow = next((tmp_path / "saved").glob("*.arrow"))
    assert read(arrow) == EXPECTED


def test_saved_splits(tmp_path: Path) -> None:
    train, test = datasets.Dataset.from_list(ROWS[:3]), datasets.Dataset.from_list(ROWS[3:])
    datasets.DatasetDict(train=train, heldout=test).save_to_disk(str(tmp_path / "saved"))
    splits = Jsonl(path=str(tmp_path / "saved"), test_split="heldout").read()
    assert [record.prompt for record in splits.train] == ["p0", "p1", "p2"]
    assert [record.prompt for record in splits.test] == ["p3"]
    with pytest.raises(DataError, match="no split 'dev'; there are: train, heldout"):
        read(tmp_path / "saved", split="dev")


def test_folder_of_files(write: Callable[..., str], tmp_path: Path) -> None:
    write(ROWS[:2], "a.jsonl")
    write(ROWS[2:], "b.jsonl.gz")
    assert read(tmp_path) == EXPECTED


def test_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(*args: Any, **options: Any) -> Any:
        asked.append((args, options))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read("someone/preferences", subset="en") == EXPECTED
    assert asked == [(("someone/preferences", "en"), {"split": "train"})]


def test_hub_failure_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise ConnectionError("no route\nand a long tale")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match="the hub does not give it: ConnectionError: no route$"):
        read("someone/preferences")


def broken_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(json.dumps(ROWS[0]).encode() * 50, mtime=0)[:40])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "empty: there is no row"),
        ("empty.json", b"[]", "empty: there is no row"),
        ("blank.jsonl", b"\n  \n", "empty: there is no row"),
        ("empty.jsonl.gz", b"", "empty: there is no row"),
        ("plain.jsonl.gz", b'{"text": "a"}\n', "ends in .gz but is not gzipped"),
        ("cut.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:40], "broken gzip"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": \n', r"bad\.jsonl:2: not valid JSON at column 10"),
        ("bad.json", b'[{"text": "a"},\n {"text" "b"}]', r"bad\.json:2: not valid JSON at column 10"),
        (
            "deep.jsonl",
            b'{"text": "a"}\n' + b"[" * 99_999,
            r"deep\.jsonl:2: no JSON that can be read: .*recursion",
        ),
        ("deep.json", b"[" * 99_999, r"deep\.json: no JSON that can be read: .*recursion"),
        ("digits.jsonl", b'{"text": ' + b"1" * 5000 + b"}", r"digits\.jsonl:1: no JSON .*digits"),
        ("list.jsonl", b'{"text": "a"}\n["b"]\n', r"list\.jsonl:2: a row must be a JSON object, got a list"),
        ("latin.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', r"latin\.jsonl:2: not UTF-8 at byte 11"),
        ("latin.json", b'[{"text": "\xe9"}]', "not UTF-8 at byte 12"),
        ("number.json", b"3", "must hold a list of rows"),
        ("rows.csv", b"a,b\n", r"no reader for \.csv; known: \.jsonl"),
        ("rows", b"a,b\n", "no reader for a file without suffix"),
        ("rows.parquet", b"nothing", "no readable Parquet file"),
        ("rows.arrow", b"nothing", "no readable Arrow file"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


def test_missing(write: Callable[..., str], tmp_path: Path) -> None:
    write(ROWS, "pairs.jsonl")
    with pytest.raises(DataError, match=r"no such file or folder\. Did you mean 'pairs.jsonl'\?"):
        read(tmp_path / "pair.jsonl")
    with pytest.raises(DataError, match="nor a folder"):
        read("nowhere/pairs.jsonl")
    (tmp_path / "hollow").mkdir()
    with pytest.raises(DataError, match="a folder without data files"):
        read(tmp_path / "hollow")


def test_no_permission(monkeypatch: pytest.MonkeyPatch, write: Callable[..., str]) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    path = write(ROWS)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"rows\.jsonl: cannot be read: Permission denied"):
        read(path)


def test_keys_that_this_path_does_not_read(write: Callable[..., str]) -> None:
    path = write(ROWS)
    with pytest.raises(DataError, match="has no splits, so the split 'dev' cannot be read"):
        read(path, split="dev")
    with pytest.raises(DataError, match="data.subset=en is for data sets of the hub"):
        read(path, subset="en")


def test_a_key_twice_is_refused_or_skipped(write: Callable[..., str]) -> None:
    twice = '{"prompt": "p", "chosen": " a", "chosen": " b", "rejected": " c"}'
    path = write("\n".join([*map(json.dumps, ROWS), twice]))
    with pytest.raises(DataError, match=r":5: the key 'chosen' stands more than once in an object"):
        read(path)
    assert read(path, on_bad_row="skip") == EXPECTED
    with pytest.raises(DataError, match="the key 'chosen' stands more than once"):
        read(write(f"[{twice}, {twice}]", "rows.json"))
