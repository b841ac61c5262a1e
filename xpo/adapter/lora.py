"""Low-rank adapters through peft."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch

from xpo.errors import UserError
from xpo.merge.delta import Part
from xpo.registry import register


@register("adapter", "lora")
@dataclass(frozen=True)
class Lora:
    """W + (alpha / r) B A with W frozen (Hu et al., arXiv 2106.09685, section 4.1); B = 0 at the start.

    ``target_modules`` are names of linear layers, or ``all-linear``: every one but the output head.
    ``merge``: export W + (alpha / r) B A as a full model; otherwise the adapter alone.
    """

    adapts: ClassVar[bool] = True

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("all-linear",)
    init: Literal["default", "gaussian", "pissa", "olora"] = "default"
    merge: bool = True

    def __post_init__(self) -> None:
        if self.r < 1:
            raise ValueError(f"r must be at least 1, got {self.r}")
        if self.alpha <= 0:
            raise ValueError(f"alpha must be positive, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not self.target_modules:
            raise ValueError("target_modules must name at least one module, got none")

    def apply(self, model: Any, seed: int) -> Any:
        """The model wrapped by peft; only adapter weights train. ``UserError`` if no module matches."""
        from peft import LoraConfig, TaskType, get_peft_model

        targets = list(self.target_modules)
        self._check_targets(model)
        init: Any = True if self.init == "default" else self.init
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,  # pyright: ignore[reportArgumentType]  (peft divides it; any number does)
            lora_dropout=self.dropout,
            target_modules=targets[0] if targets == ["all-linear"] else targets,
            init_lora_weights=init,
            task_type=TaskType.CAUSAL_LM,
        )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # peft 0.21 reads a property that transformers 5.23 has renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", "fan_in_fan_out is set to False")  # GPT-2: peft corrects it
            torch.manual_seed(seed)
            try:
                return get_peft_model(model, config)
            except ValueError as error:
                raise UserError(f"adapter.target_modules={targets}: {error}") from error

    def _check_targets(self, model: Any) -> None:
        """Every name must be a module's: peft is content if one of them is."""
        if self.target_modules == ("all-linear",):
            return
        names = [name for name, _ in model.named_modules()]
        lost = [
            target
            for target in self.target_modules
            if not any(name == target or name.endswith(f".{target}") for name in names)
        ]
        if lost:
            from transformers.pytorch_utils import Conv1D

            kinds = (torch.nn.Linear, Conv1D)
            linear = {n.rsplit(".", 1)[-1] for n, part in model.named_modules() if isinstance(part, kinds)}
            raise UserError(
                f"adapter.target_modules={list(self.target_modules)}: the model has no module "
                f"{', '.join(lost)}; it has {', '.join(sorted(linear))}, or all-linear alone for every one"
            )

    def parts(self, model: Any) -> dict[str, Part]:
        """What trains, weight by weight: (alpha / r) B A beside each adapted layer's W."""
        from peft.tuners.lora import LoraLayer

        layers: dict[str, Any] = {n: part for n, part in model.named_modules() if isinstance(part, LoraLayer)}
        return {
            name: Part(layer.get_base_layer().weight, partial(layer.get_delta_weight, "default"))
            for name, layer in layers.items()
        }

    def export(self, model: Any) -> Any:
        """What is saved. Merging leaves the trained model as it is: the merged one is a copy."""
        if not self.merge:
            return model
        import copy

        return copy.deepcopy(model).merge_and_unload()
