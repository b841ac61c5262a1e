"""All weights train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.merge.delta import Part
from xpo.registry import register


@register("adapter", "none")
@dataclass(frozen=True)
class NoAdapter:
    """The model itself is trained and exported."""

    adapts: ClassVar[bool] = False

    def apply(self, model: Any, seed: int) -> Any:
        """The model, all of its parameters trainable."""
        return model.requires_grad_(True)

    def parts(self, model: Any) -> dict[str, Part]:
        """What trains, weight by weight: every parameter, tied ones once."""
        return {name: Part(p, lambda p=p: p) for name, p in model.named_parameters()}

    def export(self, model: Any) -> Any:
        """What is saved: the model."""
        return model
