"""Raw rows from whatever a path is: a file, a folder, or a data set's name on the hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpo.compose.errors import did_you_mean
from xpo.data.errors import DataError
from xpo.data.lines import OnBad, Raw, read_json, read_lines


def read_rows(path: str, on_bad: OnBad, *, split: str | None = None, subset: str | None = None) -> list[Raw]:
    """All rows of ``path`` in order.

    A file by its suffix (JSON lines, JSON, Parquet, Arrow; JSON also gzipped), a folder that ``datasets``
    saved, a folder of files, or ``owner/name`` on the hub. ``split`` is read where there are splits
    (``train`` if not given), ``subset`` on the hub only. Raises ``DataError`` for what is missing, empty
    or has no such split.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        rows = _folder(place, on_bad, split)
    elif place.exists():
        _no_split(path, split)
        rows = _reader(place)(place, on_bad)
    elif _is_hub_name(path):
        return _nonempty(path, _hub(path, split, subset))
    else:
        raise DataError(_missing(place))
    if subset is not None:
        raise DataError(f"data.subset={subset} is for data sets of the hub; {path} is a local path")
    return _nonempty(path, rows)


def _nonempty(path: str, rows: list[Raw]) -> list[Raw]:
    if not rows:
        raise DataError(f"{path}: empty: there is no row that can be read")
    return rows


def _reader(path: Path) -> Callable[[Path, OnBad], list[Raw]]:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix not in _READERS:
        raise DataError(
            f"{path}: no reader for {suffix or 'a file without suffix'}; known: {', '.join(_READERS)}"
        )
    return _READERS[suffix]


def _parquet(path: Path, on_bad: OnBad) -> list[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _numbered(path, pq.read_table(path).to_pylist())
    except pa.ArrowException as error:
        raise DataError(f"{path}: no readable Parquet file: {_first_line(error)}") from None


def _arrow(path: Path, on_bad: OnBad) -> list[Raw]:
    import datasets
    import pyarrow as pa

    try:
        return _numbered(path, datasets.Dataset.from_file(str(path)))
    except pa.ArrowException as error:
        raise DataError(f"{path}: no readable Arrow file: {_first_line(error)}") from None


_READERS: dict[str, Callable[[Path, OnBad], list[Raw]]] = {
    ".jsonl": read_lines,
    ".ndjson": read_lines,
    ".json": read_json,
    ".parquet": _parquet,
    ".arrow": _arrow,
}


def _folder(path: Path, on_bad: OnBad, split: str | None) -> list[Raw]:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _saved(path, split)
    _no_split(str(path), split)
    files = sorted(file for file in path.iterdir() if file.is_file() and set(file.suffixes) & set(_READERS))
    if not files:
        raise DataError(f"{path}: a folder without data files (known: {', '.join(_READERS)})")
    return [row for file in files for row in _reader(file)(file, on_bad)]


def _saved(path: Path, split: str | None) -> list[Raw]:
    import datasets

    try:
        content = datasets.load_from_disk(str(path))
    except Exception as error:  # datasets raises whatever its parsers raise
        raise DataError(f"{path}: cannot be loaded by datasets: {_first_line(error)}") from None
    if isinstance(content, datasets.DatasetDict):
        name = split or "train"
        if name not in content:
            raise DataError(f"{path}: no split {name!r}; there are: {', '.join(map(str, content))}")
        return _numbered(path, content[name])
    _no_split(str(path), split)
    return _numbered(path, content)


def _hub(name: str, split: str | None, subset: str | None) -> list[Raw]:
    import datasets

    try:
        content = datasets.load_dataset(name, subset, split=split or "train")
    except Exception as error:  # network, authorisation, parsing: all of it reaches the user as one line
        raise DataError(
            f"{name}: no such file or folder here, and the hub does not give it: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from None
    return _numbered(name, content)


def _numbered(path: Path | str, rows: Any) -> list[Raw]:
    return [(f"{path}: row {number}", row) for number, row in enumerate(rows, 1)]


def _is_hub_name(path: str) -> bool:
    known = any(path.endswith(end) for suffix in _READERS for end in (suffix, f"{suffix}.gz"))
    owned = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", path) is not None
    return owned and not known and not Path(path).parent.is_dir()


def _no_split(path: str, split: str | None) -> None:
    if split is not None:
        raise DataError(f"{path} has no splits, so the split {split!r} cannot be read; leave it away")


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"{path}: no such file or folder (nor a folder {path.parent})."
    near = did_you_mean(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    return f"{path}: no such file or folder.{near}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
