"""Responses drawn from softmax(log pi + beta (min Q - V)): in ``generate``, exactly scored, from a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.critic.heads import Advantage, Mlp
from xpo.scoring.parts import unwrap
from xpo.scoring.score import Scoring, response_edges, spread

FILE = "critic.safetensors"
NEVER = -1e4
"""Log-probability of a token beyond the top k: e^-10000 is 0, and 0 times it too."""


@dataclass(frozen=True, eq=False)
class AdvantageDecoding:
    """Snell et al. 2022, arXiv 2206.11871, section 4.3. Without it a policy imitates, no more."""

    recipe: ClassVar[str] = (
        "from xpo.critic.decoding import load_decoding\n"
        "processor = load_decoding(folder, model)  # without it this model only imitates\n"
    )

    advantage: Advantage
    beta: float
    top_k: int | None

    def perturbed(self, logits_CV: Tensor, hidden_CD: Tensor) -> Tensor:
        """The logits of the tokens that remain; log pi and its logits differ by a constant."""
        moved_CV = logits_CV + self.beta * self.advantage(hidden_CD).to(logits_CV.dtype)
        if self.top_k is None or self.top_k >= moved_CV.shape[1]:
            return moved_CV
        least_C1 = moved_CV.topk(self.top_k, dim=1).values[:, -1:]
        return moved_CV.masked_fill(moved_CV < least_C1, -torch.inf)

    def scoring(self, scoring: Scoring) -> DecodedScoring:
        return DecodedScoring(self, scoring)

    @contextmanager
    def processor(self, model: Any) -> Iterator[Perturbation]:
        processor = Perturbation(self, model)
        try:
            yield processor
        finally:
            processor.remove()

    def save(self, folder: Path) -> None:
        """``critic.safetensors``: V, the slow Q heads, and how they are used."""
        from safetensors.torch import save_file

        weights = {name: weight.contiguous() for name, weight in self.advantage.state_dict().items()}
        top_k = "" if self.top_k is None else str(self.top_k)
        save_file(weights, str(folder / FILE), {"beta": repr(self.beta), "top_k": top_k})


@dataclass(frozen=True, eq=False)
class DecodedScoring:
    """``logp_BKT`` of responses as they are drawn, without gradient."""

    decoding: AdvantageDecoding
    own: Scoring

    @torch.no_grad()
    def __call__(self, model: Any, batch: Batch) -> Tensor:
        span = response_edges(batch.packed)
        found = self.own.distributions(model, batch, span)
        parts = [found.hidden_ED.new_zeros(0, dtype=torch.float32)]
        for part, targets in self.own.pieces(found, batch, span):
            logits_CV = self.decoding.perturbed(part.logp(slice(None), targets), part.hidden_ED)
            logp_C1 = logits_CV.log_softmax(1).gather(1, targets.token_E[:, None])
            parts.append(logp_C1.squeeze(1).clamp(min=NEVER))
        return spread(torch.cat(parts), batch)


class Perturbation:
    """A logits processor for ``generate``; it reads the hidden states that the model's output head gets."""

    def __init__(self, decoding: AdvantageDecoding, model: Any) -> None:
        self._decoding = decoding
        self._hidden_BD: Tensor | None = None
        self._hook = unwrap(model).get_output_embeddings().register_forward_pre_hook(self._note)

    def _note(self, head: Any, given: tuple[Tensor, ...]) -> None:
        self._hidden_BD = given[0][:, -1]

    @torch.no_grad()
    def __call__(self, ids_BS: Tensor, logits_BV: Tensor) -> Tensor:
        assert self._hidden_BD is not None, "the model's output head has not run"
        return self._decoding.perturbed(logits_BV, self._hidden_BD)

    def remove(self) -> None:
        """Leave the model as it was."""
        self._hook.remove()


def load_decoding(folder: str | Path, model: Any) -> Perturbation:
    """The logits processor of an exported model: ``model.generate(..., logits_processor=[processor])``.

    Raises ``ValueError`` where the heads are another model's, ``FileNotFoundError`` where there are none.
    """
    from safetensors import safe_open

    with safe_open(str(Path(folder) / FILE), "pt") as file:
        about: dict[str, str] = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    head_VD = unwrap(model).get_output_embeddings().weight
    size, width = len(weights["slow.0.outer.bias"]), weights["v.inner.weight"].shape[1]
    if (size, width) != tuple(head_VD.shape):
        raise ValueError(
            f"{FILE} has heads over {size} tokens and {width} features, the model's is {tuple(head_VD.shape)}"
        )
    dtype = weights["v.inner.weight"].dtype
    advantage = Advantage(Mlp(width, 1, dtype), [Mlp(width, size, dtype) for _ in range(2)])
    advantage.load_state_dict(weights)
    advantage.requires_grad_(False).to(head_VD.device)
    top_k = int(about["top_k"]) if about["top_k"] else None
    return Perturbation(AdvantageDecoding(advantage, float(about["beta"]), top_k), model)
