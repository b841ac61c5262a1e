"""Token rows as tries: every distinct prefix is fed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from xpo.contracts import Packed
from xpo.scoring.support import Support

TokenRow = tuple[Sequence[int], Sequence[Sequence[int]]]


@dataclass
class _Trie:
    """One row in plain ints; ``edges[k][t]`` is the edge (index into this row's) of a response token."""

    tokens: list[int]
    positions: list[int]
    end: list[int]
    nodes: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    edges: list[list[int]] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)  # the fed position of each response token


def pack(
    rows: Sequence[TokenRow],
    *,
    pad_id: int,
    prompt_edges: bool = False,
    support: Support | None = None,
    whole: bool = False,
) -> tuple[Packed, Tensor]:
    """Pack (prompt, responses) rows, right-padded, and the ``mask_BKT`` of their response tokens.

    Edges stand row by row, those of prompt tokens (``prompt_edges``) after all response edges;
    ``prompt_edge_BP[b, i]`` is the edge of prompt token i, -1 for the first token and for padding. Under
    a ``support`` whose tail is forced, tokens that only forced ones follow are not fed: their log-probs are
    0 from any position. ``whole``: every token is fed, the last ones too (``node_BKT``), whatever the
    support. Raises ``ValueError`` for an empty prompt or response.
    """
    for b, (prompt, responses) in enumerate(rows):
        _check(b, prompt, responses)
    forced = None if support is None or whole else support.forced_from
    tries = [_trie(prompt, responses, forced, whole) for prompt, responses in rows]
    width = max(len(trie.tokens) for trie in tries)
    ends = [trie.end + list(range(len(trie.end) + 1, width + 1)) for trie in tries]
    nodes = [b * width + node for b, trie in enumerate(tries) for node in trie.nodes]
    targets = [token for trie in tries for token in trie.targets]
    depths = [depth for trie in tries for depth in trie.depths]
    edge_BKT, mask_BKT = _edge_table(tries)
    prompt_edge_BP = None
    if prompt_edges:
        table = []
        for b, (prompt, _) in enumerate(rows):
            table.append([-1, *range(len(nodes), len(nodes) + len(prompt) - 1)])
            nodes += range(b * width, b * width + len(prompt) - 1)
            targets += list(prompt[1:])
            depths += [-1] * (len(prompt) - 1)
        prompt_edge_BP = _padded(table, -1, max(map(len, table)))
    return Packed(
        input_ids_BS=_padded([trie.tokens for trie in tries], pad_id, width),
        position_BS=_padded([trie.positions for trie in tries], 0, width),
        end_BS=torch.tensor(ends),
        edge_node_E=torch.tensor(nodes, dtype=torch.long),
        edge_token_E=torch.tensor(targets, dtype=torch.long),
        edge_depth_E=torch.tensor(depths, dtype=torch.long),
        edge_BKT=edge_BKT,
        prompt_edge_BP=prompt_edge_BP,
        node_BKT=_node_table(tries, width, mask_BKT) if whole else None,
    ), mask_BKT


def _check(b: int, prompt: Sequence[int], responses: Sequence[Sequence[int]]) -> None:
    if not len(prompt):
        raise ValueError(f"row {b}: the prompt has no token; give it at least BOS")
    for k, response in enumerate(responses):
        if not len(response):
            raise ValueError(f"row {b}: response {k} has no token; drop it or end it with EOS")


def _trie(
    prompt: Sequence[int], responses: Sequence[Sequence[int]], forced_from: int | None, whole: bool
) -> _Trie:
    """Walk the responses in lexicographic order: what two of them share, neighbours share.

    ``path`` holds the fed positions of the current response's prefixes; a position is closed (its end is
    known) when the walk leaves its subtree.
    """
    size = len(prompt)
    none: list[list[int]] = [[] for _ in responses]
    trie = _Trie(list(prompt), list(range(size)), [0] * size, edges=list(none), places=list(none))
    previous: Sequence[int] = ()
    path: list[int] = []
    edges: list[int] = []
    for k in sorted(range(len(responses)), key=lambda k: list(responses[k])):
        response = responses[k]
        length = len(response)
        same = _common(previous, response)
        fed = length - (not whole) if forced_from is None else max(min(length, forced_from) - 1, 0)
        keep = min(same, len(path), fed)
        top = len(trie.tokens)
        for node in path[keep:]:
            trie.end[node] = top
        path = path[:keep] + list(range(top, top + fed - keep))
        trie.tokens += response[keep:fed]
        trie.positions += range(size + keep, size + fed)
        trie.end += [0] * (fed - keep)
        edges = edges[:same] + list(range(len(trie.nodes), len(trie.nodes) + length - same))
        at = [size - 1, *path]
        trie.nodes += at[same:length] + [at[-1]] * (length - max(same, len(at)))
        trie.targets += response[same:]
        trie.depths += range(same, length)
        trie.edges[k] = edges
        trie.places[k] = list(path)
        previous = response
    total = len(trie.tokens)
    for node in (*range(size), *path):
        trie.end[node] = total
    return trie


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    t = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        t += 1
    return t


def _edge_table(tries: Sequence[_Trie]) -> tuple[Tensor, Tensor]:
    """``edge_BKT`` over the whole batch, and where it holds an edge."""
    responses = max(len(trie.edges) for trie in tries)
    longest = max((len(edges) for trie in tries for edges in trie.edges), default=0)
    flat: list[list[int]] = []
    first = 0
    for trie in tries:
        rows = [[first + e for e in edges] + [-1] * (longest - len(edges)) for edges in trie.edges]
        flat += rows + [[-1] * longest] * (responses - len(rows))
        first += len(trie.nodes)
    edge_BKT = torch.tensor(flat, dtype=torch.long).view(len(tries), responses, longest)
    return edge_BKT.clamp(min=0), edge_BKT >= 0


def _node_table(tries: Sequence[_Trie], width: int, mask_BKT: Tensor) -> Tensor:
    """``node_BKT``: the fed position of every response token, 0 where there is none."""
    node_BKT = torch.zeros_like(mask_BKT, dtype=torch.long)
    # row-major, as the mask counts
    flat = [b * width + node for b, trie in enumerate(tries) for places in trie.places for node in places]
    node_BKT[mask_BKT] = torch.tensor(flat, dtype=torch.long)
    return node_BKT


def _padded(rows: Sequence[list[int]], value: int, width: int) -> Tensor:
    return torch.tensor([row + [value] * (width - len(row)) for row in rows], dtype=torch.long)
