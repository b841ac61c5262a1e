"""Another adapter on the policy's base model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xpo.errors import UserError
from xpo.model.loaded import fingerprint
from xpo.reference.prepared import Prepared, snapshot, standing
from xpo.registry import register
from xpo.scoring.score import Scoring


@register("reference", "adapter")
@dataclass(frozen=True)
class Adapter:
    """A peft folder (``adapter_config.json``) over the weights that the policy's own adapter lies on.

    Without an adapter of its own (adapter=none) the policy's weights at the start are taken for the base,
    and copied. Raises ``UserError`` for a folder that is no adapter or fits another model.
    """

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = False
    renewed: ClassVar[bool] = False  # made anew when a round begins
    cacheable: ClassVar[bool] = True

    path: str
    cache: bool = True

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Log-probs of base + adapter."""
        from peft import PeftModel

        if not (Path(self.path) / "adapter_config.json").is_file():
            raise UserError(
                f"reference.path={self.path} holds no adapter_config.json; give the folder of a saved "
                "adapter, or reference=model for a whole model"
            )
        model = snapshot(policy)
        with warnings.catch_warnings():
            # peft 0.21 reads a property that transformers 5.23 has renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            try:
                if isinstance(model, PeftModel):
                    model.load_adapter(self.path, "reference")
                    model.set_adapter("reference")
                else:
                    model = PeftModel.from_pretrained(model, self.path)
            except (ValueError, RuntimeError, KeyError) as error:
                raise UserError(
                    f"reference.path={self.path} does not fit the policy's model: {error}"
                ) from error
        model.eval().requires_grad_(False)
        return Prepared(standing(model), scoring, fingerprint(model))
