"""Reference log-probabilities of a whole data set, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xpo.contracts import Batch, Row

FORMAT = "1"
"""Part of every key: raise it when log-probs or the file change their meaning."""


@dataclass(frozen=True, eq=False)
class ReferenceCache:
    """``cache[i]`` is the K reference log-prob vectors of row i of the data set, in float32 nats.

    One flat array: row i owns responses ``first_row[i]`` to ``first_row[i + 1]``, response r owns values
    ``first_response[r]`` to ``first_response[r + 1]``.
    """

    logp: Tensor
    first_response: Tensor
    first_row: Tensor

    def __len__(self) -> int:
        return len(self.first_row) - 1

    def __getitem__(self, index: int, /) -> list[Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"the reference cache holds rows 0 to {len(self) - 1}, not {index}")
        first, last = self.first_row[index : index + 2].tolist()
        bounds = self.first_response[first : last + 1].tolist()
        return [self.logp[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True)]

    def lookup(self, index_B: Tensor, mask_BKT: Tensor) -> Tensor:
        """``ref_logp_BKT`` of these rows; zeros for filler rows (index -1).

        Raises ``ValueError`` if a response's length is not the cached one: the rows are not those cached.
        """
        ref_logp_BKT = torch.zeros(mask_BKT.shape, dtype=torch.float32)
        for b, index in enumerate(index_B.tolist()):
            if index < 0:
                continue
            vectors, lengths = self[index], _lengths(mask_BKT[b])
            if [len(v) for v in vectors] != lengths:
                raise ValueError(
                    f"row {index} has responses of {lengths} tokens, the reference cache was made of "
                    f"{[len(v) for v in vectors]}"
                )
            for k, vector in enumerate(vectors):
                ref_logp_BKT[b, k, : len(vector)] = vector
        return ref_logp_BKT.to(mask_BKT.device)


def cache_key(parts: Mapping[str, str]) -> str:
    """Hash of everything that the log-probs depend on: any difference is another file."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_rows(rows: Iterable[Row]) -> str:
    """Hash of the rows' token ids in order: prompts and responses, nothing else of them."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([list(row.prompt), [list(r) for r in row.responses]]).encode())
    return digest.hexdigest()


def open_or_build(
    folder: Path,
    parts: Mapping[str, str],
    rows: int,
    batches: Callable[[], Iterable[Batch]],
    score: Callable[[Batch], Tensor],
) -> ReferenceCache:
    """The cache of this key: read if a whole and unharmed file is there, else computed and written.

    ``batches()`` must give every row 0 .. rows - 1 once (fillers aside); it is not called when the file
    serves. A damaged or partial file is computed again. Raises ``ValueError`` if rows are missing or doubled.
    """
    path = folder / f"{cache_key(parts)}.safetensors"
    found = _read(path, rows)
    if found is not None:
        return found
    cache = _build(rows, batches(), score)
    _write(path, cache)
    return cache


def _build(rows: int, batches: Iterable[Batch], score: Callable[[Batch], Tensor]) -> ReferenceCache:
    vectors: list[list[Tensor] | None] = [None] * rows
    for batch in batches:
        ref_logp_BKT = score(batch).float().cpu()
        for b, index in enumerate(batch.index_B.tolist()):
            if index < 0:
                continue
            if index >= rows or vectors[index] is not None:
                raise ValueError(f"row {index} came twice or does not exist, while caching {rows} rows")
            lengths = _lengths(batch.mask_BKT[b])
            vectors[index] = [ref_logp_BKT[b, k, :length].clone() for k, length in enumerate(lengths)]
    missing = [i for i, v in enumerate(vectors) if v is None]
    if missing:
        raise ValueError(f"{len(missing)} of {rows} rows never came while caching, the first is {missing[0]}")
    return _flat([v for v in vectors if v is not None])


def _lengths(mask_KT: Tensor) -> list[int]:
    """Tokens of each response that is there, up to its last trained one."""
    at_T = torch.arange(1, mask_KT.shape[1] + 1, device=mask_KT.device)
    return [length for length in (mask_KT * at_T).amax(1).tolist() if length]


def _flat(vectors: Sequence[list[Tensor]]) -> ReferenceCache:
    responses = [vector for row in vectors for vector in row]
    return ReferenceCache(
        torch.cat(responses) if responses else torch.zeros(0),
        _starts([len(vector) for vector in responses]),
        _starts([len(row) for row in vectors]),
    )


def _starts(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths], dtype=torch.long).cumsum(0)


def _digest(cache: ReferenceCache) -> str:
    digest = hashlib.sha256()
    for tensor in (cache.logp, cache.first_response, cache.first_row):
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, cache: ReferenceCache) -> None:
    """Under another name first: a reader never sees half a file, and ranks may write side by side."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(dict(vars(cache)), str(partial), metadata={"sha256": _digest(cache)})
    os.replace(partial, path)


def _read(path: Path, rows: int) -> ReferenceCache | None:
    """The file's cache, or None if there is none that is whole, unharmed and of this many rows."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), "pt") as file:
            cache = ReferenceCache(*(file.get_tensor(key) for key in ("logp", "first_response", "first_row")))
            digest = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError):
        return None
    return cache if digest == _digest(cache) and len(cache) == rows else None
