"""Drawing from a policy and another model together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.decode.guided import mixture
from xpo.reference.prepared import Host
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import drawn, shares
from xpo.sampler.policy import Policy
from xpo.sampler.prefill import positions, prefilled, why_not_shared
from xpo.scoring.parts import accepts, unwrap


@dataclass(frozen=True)
class Mixture:
    """p proportional to policy^(1 - weight) other^weight, token by token (geometric; renormalised each time).

    Munos et al. 2023, arXiv 2312.00886: the policy that Nash-MD plays against, with each token normalised
    as they do in practice (which is not the normalised mixture of whole responses). 0 is the policy, 1 the
    other model, both under the policy's support. Temperature, top-k and top-p act on the mixture.
    ``other``: within it the model that it gives is the other one, as of ``Prepared.host``. Raises
    ``ValueError`` where the two have different vocabularies.
    """

    other: Host
    weight: float = 0.5
    share: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be 0 (the policy) to 1 (the other model), got {self.weight}")

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        def blend(ids_BP: Tensor, mask_BP: Tensor, copies: int) -> Blending:
            return Blending(self, ids_BP, mask_BP, copies, draw.max_new_tokens)

        return drawn(policy, prompts, draw, generator, shares(policy.model, self.share), blend)


class Blending:
    """A logits processor: the other model reads the same rows in step with the policy, its cache kept."""

    def __init__(self, engine: Mixture, ids_BP: Tensor, mask_BP: Tensor, copies: int, room: int) -> None:
        self._engine = engine
        self._mask_RP = mask_BP.repeat_interleave(copies, 0)
        self._cache: Any = None
        with engine.other() as model:
            self._keeps = not why_not_shared(model)  # others read every row from its beginning each time
            if self._keeps and engine.share:
                self._cache = prefilled(model, ids_BP, mask_BP, copies, room)

    @torch.no_grad()
    def __call__(self, ids_RS: Tensor, logits_RV: Tensor) -> Tensor:
        grown = ids_RS.shape[1] - self._mask_RP.shape[1]
        mask_RS = torch.nn.functional.pad(self._mask_RP, (0, grown), value=1)
        with self._engine.other() as model:
            output = self._read(model, ids_RS, mask_RS)
        if self._keeps:
            self._cache = output.past_key_values
        return mixture(logits_RV, output.logits[:, -1].to(logits_RV), 1 - self._engine.weight)

    def _read(self, model: Any, ids_RS: Tensor, mask_RS: Tensor) -> Any:
        inner = unwrap(model)
        fed = 1 if self._cache is not None else ids_RS.shape[1]
        more: dict[str, Any] = {} if self._cache is None else {"past_key_values": self._cache}
        if accepts(inner, "position_ids"):
            more["position_ids"] = positions(mask_RS)[:, -fed:]
        if accepts(inner, "logits_to_keep"):
            more["logits_to_keep"] = 1
        return inner(input_ids=ids_RS[:, -fed:], attention_mask=mask_RS, use_cache=self._keeps, **more)
