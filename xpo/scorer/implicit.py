"""The implicit reward of a policy beside its reference: of whole responses, and of each of their tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from xpo.contracts import Batch, Divergence, Length, StepTotals, masked
from xpo.divergence.reverse_kl import ReverseKL
from xpo.errors import UserError
from xpo.length.sum import Sum
from xpo.model.hf import HuggingFace, load_pretrained
from xpo.model.tokens import require_same
from xpo.reward_level.response import ResponseLevel
from xpo.scoring.pack import TokenRow, pack
from xpo.scoring.parts import evaluating
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring
from xpo.scoring.support import Support

REFERENCE = "reference"
"""A run's folder of the model that its token rewards are relative to."""


@dataclass(frozen=True, eq=False)
class ImplicitReward:
    """beta link(log policy - log reference). Rafailov et al. 2024, arXiv 2404.12358, section 4.

    ``reference`` gives ``ref_logp_BKT`` of a batch that does not bring them, None stands for zeros. ``level``
    and ``length`` say what a response's tokens become, as in training.
    """

    policy: Any
    reference: Callable[[Batch], Tensor] | None
    scoring: Scoring
    beta: float
    divergence: Divergence = ReverseKL()
    level: Any = ResponseLevel()
    length: Length = Sum()
    tokenizer: Any = None

    @torch.no_grad()
    def logps(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of policy and reference, each BKT."""
        with evaluating(self.policy):
            logp_BKT = self.scoring(self.policy, batch)
        if batch.ref_logp_BKT is not None:
            return logp_BKT, batch.ref_logp_BKT
        return logp_BKT, torch.zeros_like(logp_BKT) if self.reference is None else self.reference(batch)

    def score_BKT(self, batch: Batch) -> Tensor:
        """Each token's own reward, in nats; 0 outside the mask."""
        return self.of_tokens(*self.logps(batch), batch)

    def score_BK(self, batch: Batch) -> Tensor:
        """Each response's reward, in nats, as the training's loss has it; 0 for absent ones."""
        return self.of_responses(*self.logps(batch), batch)

    def of_tokens(self, logp_BKT: Tensor, ref_logp_BKT: Tensor, batch: Batch) -> Tensor:
        """From log-probabilities that are known."""
        return self.beta * self.divergence.link(masked(logp_BKT - ref_logp_BKT, batch.mask_BKT))

    def of_responses(self, logp_BKT: Tensor, ref_logp_BKT: Tensor, batch: Batch) -> Tensor:
        """The same for responses."""
        mask_BKT = batch.mask_BKT
        log_ratio_BKT = masked(logp_BKT - ref_logp_BKT, mask_BKT)
        linked_BK = self.level.apply(self.divergence, self.length, log_ratio_BKT, mask_BKT)
        return self.beta * linked_BK + self.length.offset(mask_BKT).to(linked_BK.dtype)

    @property
    def models(self) -> tuple[Any, ...]:
        """Policy and reference, where that is a model of its own."""
        beside = (self.reference.model,) if isinstance(self.reference, _Beside) else ()
        return (self.policy, *beside)

    def batch(self, rows: Sequence[TokenRow]) -> Batch:
        """Prompts and responses as token ids, to be scored; a response that ends has its EOS."""
        packed, mask_BKT = pack(rows, pad_id=0, support=self.scoring.support)
        ones_B = torch.ones(len(rows))
        made = Batch(packed, mask_BKT, ones_B, torch.arange(len(rows)), StepTotals(float(len(rows)), 0.0, 1))
        return made.to(next(self.policy.parameters()).device)

    @classmethod
    def of_folders(
        cls,
        policy: str | Path,
        reference: str | Path | None,
        *,
        beta: float,
        support: Support | None = None,
        keys: tuple[str, str] = ("policy", "reference"),
        **settings: Any,
    ) -> ImplicitReward:
        """From two Hugging Face folders (or hub names); ``settings`` are divergence, level and length.

        ``support`` restricts responses to those of an enumerable world; messages blame ``keys``. Raises
        ``UserError`` for a folder that cannot be loaded, and for two vocabularies.
        """
        mine = load_pretrained(HuggingFace(str(policy)), keys[0])
        scoring = Scoring(choose_path(mine.model)[0], support=support)
        made = cls(mine.model, None, scoring, beta, tokenizer=mine.tokenizer, **settings)
        if reference is None:
            return made
        theirs = load_pretrained(HuggingFace(str(reference)), keys[1])
        require_same(theirs.tokenizer, mine.tokenizer, f"{keys[1]}={reference}")
        other = dataclasses.replace(scoring, path=choose_path(theirs.model)[0])
        return dataclasses.replace(made, reference=_Beside(theirs.model, other))

    @classmethod
    def of_run(cls, run: str | Path) -> ImplicitReward:
        """From the folder of a finished run with reward_level=token, whose model and reference lie in it.

        Raises ``UserError`` where one of them does not: then ``of_folders`` takes both.
        """
        from xpo.compose.composition import instantiate

        folder = Path(run)
        config, model, reference = (folder / name for name in ("config.yaml", "model", REFERENCE))
        if not config.is_file() or not model.is_dir():
            raise UserError(f"{folder} is no folder of a finished run: it has no config.yaml and model/")
        if (model / "adapter_config.json").is_file():
            raise UserError(
                f"{model} is an adapter without its base: run with adapter.merge=true, or give the folder of "
                "a merged model and of its reference (annotator.path, annotator.reference and annotator.beta)"
            )
        c = instantiate(yaml.safe_load(config.read_text(encoding="utf-8")))
        if c.reward.trains_head or not c.objective.reads_reward:
            raise UserError(f"{folder} is a run with {c.choice('reward')}, in which no policy has a reward")
        if c.reference.given and not reference.is_dir():
            raise UserError(
                f"{folder} holds no {REFERENCE}/, the model that its rewards are relative to: runs with "
                "reward_level=token leave theirs. Run it so again, or give in place of annotator.run: "
                f"annotator.path={model} annotator.reference=<what it began from, a folder or hub name> "
                f"annotator.beta={c.reward.beta:g}"
            )
        return cls.of_folders(
            model,
            reference if c.reference.given else None,
            beta=c.reward.beta,
            divergence=c.divergence,
            level=c.reward_level,
            length=c.length,
            support=c.data.support,
        )


@dataclass(frozen=True, eq=False)
class _Beside:
    """A reference that is a model of its own."""

    model: Any
    scoring: Scoring

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        with evaluating(self.model):
            return self.scoring(self.model, batch)
