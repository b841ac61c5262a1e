"""How many logits exist at a time while statistics are taken, forward and backward."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.scoring.test_token_statistics import WANTED
from xpo.scoring.head import Head, Targets
from xpo.scoring.token_statistics import Distributions, Rival, token_statistics


class Watch(TorchDispatchMode):
    """The largest and the most live values that rows of logits take, forward and backward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.largest, self.live, self.most = width, 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for item in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(item, Tensor) and item.dim() == 2 and item.shape[1] == self.width:
                self._note(item)
        return out

    def _note(self, item: Tensor) -> None:
        self.largest = max(self.largest, item.numel())
        self.live += item.numel()
        self.most = max(self.most, self.live)
        weakref.finalize(item, self._forget, item.numel())

    def _forget(self, size: int) -> None:
        self.live -= size


def watched(edges: int, chunk: int) -> Watch:
    torch.manual_seed(0)
    width, hidden = 64, 6
    mine = [torch.randn(edges, hidden, requires_grad=True), torch.randn(width, hidden, requires_grad=True)]
    theirs = [torch.randn(edges, hidden), torch.randn(width, hidden)]
    targets = Targets(torch.randint(width, (edges,)))
    gc.collect()
    policy, reference = Distributions(mine[0], Head(mine[1])), Distributions(theirs[0], Head(theirs[1]))
    with Watch(width) as watch:
        found = token_statistics((*WANTED, Rival()), policy, reference, targets, chunk)
        torch.cat(list(found.values())).sum().backward()
    assert all(part.grad is not None for part in mine)
    return watch


def test_no_more_than_a_chunk_of_logits_exists_at_a_time():
    """However many edges there are: in the forward pass, in the recomputation, and in the backward pass."""
    few, many = watched(edges=9, chunk=3), watched(edges=90, chunk=3)
    assert few.largest == many.largest <= max(3, 6) * 64  # the head's own gradient has 6 x 64 values
    assert many.most == few.most
    assert watched(edges=90, chunk=30).largest == 30 * 64  # so that the two lines above see something
