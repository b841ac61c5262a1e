"""Supervised fine-tuning beside the alignment, from the same weights; then the two are merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from xpo.merge.methods import DEFAULTS, METHODS
from xpo.registry import register
from xpo.sft.separate import Separate


@register("sft", "parallel")
@dataclass(frozen=True)
class Parallel(Separate):
    """Two branches from one base, each a weight delta. Pentyala et al. 2024 (PAFT), arXiv 2406.17923.

    The SFT branch minimises NLL / tokens + ``l1`` sum |delta_sft| over the demonstrations (``data``'s own,
    else those in the alignment's rows), ``lr``, ``epochs``, ``steps`` and ``batch_size`` as in sft=separate;
    the alignment begins from the same weights, which are its reference. Untrained weights are no base: they
    go through the stage of sft=separate first. ``l1`` is a slope: an entry stays at 0 as long as the NLL's
    own slope is below it, whatever the size of the model. Adam never ends at 0, so entries of the SFT delta
    up to ``threshold`` (absolute) are set to 0 before the merge.

    ``merge`` names one of ``xpo.merge.methods``. ``sft_weight``, ``align_weight`` (null: 1), ``density``
    (null: 0.5; ties and dare_ties) and ``t`` (null: 0.5; slerp, 0 is the SFT branch) are its settings; one
    that it does not read is refused.
    """

    parallel: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    requires: ClassVar[str] = (
        "a supervised branch beside the alignment, from the same weights, and a merge of the two "
        "(an untrained model is fine-tuned first: that is the base of both)"
    )

    l1: float = 1e-4
    threshold: float = 1e-5
    merge: Literal["linear", "task_arithmetic", "ties", "dare_ties", "slerp"] = "ties"
    sft_weight: float | None = None
    align_weight: float | None = None
    density: float | None = None
    t: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {key: self.__dict__[key] for key in DEFAULTS if self.__dict__[key] is not None}
        reads = METHODS[self.merge].reads
        for key in given.keys() - reads:
            raise ValueError(
                f"{key} must be null: merge={self.merge} reads {', '.join(sorted(reads))}, got {given[key]}"
            )
        for key in ("l1", "threshold"):
            if not 0 <= self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be at least 0 and finite, got {self.__dict__[key]}")
        self._check_settings()

    def _check_settings(self) -> None:
        of = {**DEFAULTS, **self.settings}
        for key in ("sft_weight", "align_weight"):
            if not 0 <= of[key] < float("inf"):
                raise ValueError(f"{key} must be at least 0 and finite, got {of[key]}")
        if of["sft_weight"] + of["align_weight"] == 0:
            raise ValueError("sft_weight and align_weight must not both be 0: nothing would be merged")
        if not 0 < of["density"] <= 1:
            raise ValueError(f"density must be above 0 and at most 1, got {of['density']}")
        if not 0 <= of["t"] <= 1:
            raise ValueError(f"t must be from 0 to 1, got {of['t']}")

    @property
    def recipe(self) -> Separate:
        """How each supervised training goes, but for the penalty."""
        return Separate(self.lr, self.epochs, self.steps, self.batch_size)

    @property
    def settings(self) -> dict[str, float]:
        """What the merge reads."""
        given = {key: self.__dict__[key] for key in sorted(METHODS[self.merge].reads)}
        return {key: DEFAULTS[key] if value is None else value for key, value in given.items()}

    @property
    def notes(self) -> list[str]:
        """What the formula of the alignment does not show."""
        settings = ", ".join(f"{key} {value:g}" for key, value in self.settings.items())
        return [
            "The formula is that of the alignment's branch. Beside it and from the same weights a "
            f"supervised branch minimises the NLL of the demonstrations per token + {self.l1:g} sum |delta|; "
            f"entries of its delta up to {self.threshold:g} become 0.",
            f"The model is the base + the merge of the two deltas: {self.merge} ({settings}).",
        ]
