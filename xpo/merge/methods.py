"""The ways to merge two deltas of one weight; peft's own functions where they do exactly this.

A delta is a trained weight minus the weight that its training began from, in any shape. Merged models are
theta_base + merge(delta_sft, delta_align), weight by weight.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

DEFAULTS = {"sft_weight": 1.0, "align_weight": 1.0, "density": 0.5, "t": 0.5}
"""What a setting is where nothing else is said."""
COLLINEAR = 0.9995
"""Above this |cosine| two deltas span no plane to rotate in: slerp's sines would divide 0 by 0."""


@dataclass(frozen=True)
class Method:
    """``combine(sft, align, **settings)`` takes the settings that it ``reads``, of those in ``DEFAULTS``."""

    reads: frozenset[str]
    combine: Callable[..., Tensor]


def linear(sft: Tensor, align: Tensor, *, sft_weight: float, align_weight: float) -> Tensor:
    """Their weighted mean: (a delta_sft + b delta_align) / (a + b), so that (1, 0) is the SFT branch."""
    total = sft_weight + align_weight
    return task_arithmetic(sft, align, sft_weight=sft_weight / total, align_weight=align_weight / total)


def task_arithmetic(sft: Tensor, align: Tensor, *, sft_weight: float, align_weight: float) -> Tensor:
    """Their weighted sum: a delta_sft + b delta_align. Ilharco et al. 2023, arXiv 2212.04089."""
    from peft.utils import merge_utils

    return merge_utils.task_arithmetic([sft, align], torch.tensor([sft_weight, align_weight]))


def ties(sft: Tensor, align: Tensor, *, sft_weight: float, align_weight: float, density: float) -> Tensor:
    """Trim, elect sign, merge what agrees. Yadav et al. 2023, arXiv 2306.01708.

    The largest ``density`` of each delta's entries stay (their number rounded down); the sign of an entry
    is that of the sum of both, before weights; what has it is weighed and averaged over those that have it.
    """
    from peft.utils import merge_utils

    with _nothing_to_prune():
        return merge_utils.ties([sft, align], torch.tensor([sft_weight, align_weight]), density)


def dare_ties(
    sft: Tensor, align: Tensor, *, sft_weight: float, align_weight: float, density: float
) -> Tensor:
    """As ``ties``, but each entry stays with probability ``density`` and is divided by it.

    Yu et al. 2023, arXiv 2311.03099. Draws from torch's global generator on the CPU.
    """
    from peft.utils import merge_utils

    with _nothing_to_prune():
        return merge_utils.dare_ties([sft, align], torch.tensor([sft_weight, align_weight]), density)


def slerp(sft: Tensor, align: Tensor, *, t: float) -> Tensor:
    """From ``sft`` (t = 0) to ``align`` (t = 1) along the arc between them. Shoemake 1985.

    [sin((1 - t) w) delta_sft + sin(t w) delta_align] / sin w, w the angle of the two as flat vectors. Where
    they are (nearly) collinear, opposite ones too, or one is 0, there is no arc: (1 - t) delta_sft + t
    delta_align.
    """
    one, two = sft.double(), align.double()
    lengths = one.norm(), two.norm()
    if min(lengths) == 0:
        return torch.lerp(one, two, t).to(sft.dtype)
    cosine = torch.clamp((one / lengths[0] * (two / lengths[1])).sum(), -1, 1)
    if cosine.abs() > COLLINEAR:
        return torch.lerp(one, two, t).to(sft.dtype)
    angle = torch.acos(cosine)
    arc = torch.sin((1 - t) * angle) * one + torch.sin(t * angle) * two
    return (arc / torch.sin(angle)).to(sft.dtype)


@contextmanager
def _nothing_to_prune() -> Iterator[None]:
    """peft warns where the density is 1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The density", UserWarning)
        yield


_WEIGHTS = frozenset({"sft_weight", "align_weight"})
METHODS: Mapping[str, Method] = {
    "linear": Method(_WEIGHTS, linear),
    "task_arithmetic": Method(_WEIGHTS, task_arithmetic),
    "ties": Method(_WEIGHTS | {"density"}, ties),
    "dare_ties": Method(_WEIGHTS | {"density"}, dare_ties),
    "slerp": Method(frozenset({"t"}), slerp),
}
"""By the name that ``sft.merge`` takes."""
