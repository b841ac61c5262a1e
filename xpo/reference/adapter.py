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

NAME = "reference"


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
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = True

    path: str
    cache: bool = True

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Log-probs of base + adapter."""
        folder = Path(self.path)
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if not (folder / name).is_file():
                raise UserError(
                    f"reference.path={self.path} holds no {name}; give the folder of a saved adapter, or "
                    "reference=model for a whole model"
                )
        try:
            model = _with_adapter(snapshot(policy), folder)
        except Exception as error:  # whatever peft and safetensors make of a folder that is no adapter
            raise UserError(
                f"reference.path={self.path} is no adapter of the policy's model: {error}"
            ) from error
        model.eval().requires_grad_(False)
        return Prepared(standing(model), scoring, fingerprint(model))


def _with_adapter(model: Any, folder: Path) -> Any:
    """The model under the adapter of a folder, every weight of which must find its place."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    with warnings.catch_warnings():
        # peft 0.21 reads a property that transformers 5.23 has renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "Found missing adapter keys")  # told below, as an error
        if isinstance(model, PeftModel):
            model.load_adapter(str(folder), NAME)
            model.set_adapter(NAME)
        else:
            model = PeftModel.from_pretrained(model, str(folder), adapter_name=NAME)
    with safe_open(str(folder / "adapter_model.safetensors"), "pt") as file:
        given = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, adapter_name=NAME))
    if given != wanted:
        raise ValueError(f"its weights and the model's differ, the first is {sorted(given ^ wanted)[0]}")
    return model
