"""Another model as the reference."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from xpo.model.hf import HuggingFace, load_pretrained
from xpo.model.tokens import require_same
from xpo.reference.prepared import Prepared, standing
from xpo.registry import register
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring


@register("reference", "model")
@dataclass(frozen=True)
class OtherModel:
    """Any Hugging Face folder or hub name whose vocabulary is the policy's."""

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = False
    renewed: ClassVar[bool] = False  # made anew when a round begins
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = True

    path: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    trust_remote_code: bool = False
    cache: bool = True

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Log-probs of that model; ``UserError`` if its vocabulary is another."""
        option = HuggingFace(
            self.path, self.revision, dtype=self.dtype, trust_remote_code=self.trust_remote_code
        )
        loaded = load_pretrained(option, "reference.path")
        require_same(loaded.tokenizer, tokenizer, f"reference.path={self.path}")
        model = loaded.model.requires_grad_(False)
        path = "plain" if scoring.path == "plain" else choose_path(model)[0]
        return Prepared(standing(model), dataclasses.replace(scoring, path=path), loaded.fingerprint)
