"""The same rows and weights through TRL's own trainers and through xpo's collator and module."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import OffPolicy
from xpo.compose import build, compose_config
from xpo.contracts import Batch, Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.module.off_policy import OffPolicyModule
from xpo.reference.prepared import Prepared, standing
from xpo.scoring.score import Scoring

PROMPTS = ("Name a colour.", "What is two and two, please?", "And now?", "Well?", "And now?")
CHOSEN = ("Red, or green.", "Four.", "Nothing at all, thank you, and you?", "Yes, of course.", "6" * 10)
REJECTED = (
    "Blue or dark grey.",
    "Five?",
    "Go away, please.",
    "No, I think not.",
    "{" * 10,
)  # 10 alike: likely
LABELS = (True, False, True, False, True)  # of CHOSEN, where single responses are good or bad


@dataclass(frozen=True)
class Loss:
    """A loss and its gradient in all of the policy's parameters."""

    value: float
    slope: Tensor

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.value + other.value, self.slope + other.slope)

    def __rmul__(self, factor: float) -> Loss:
        return Loss(factor * self.value, factor * self.slope)


def mean(losses: Sequence[Loss]) -> Loss:
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    return 1 / len(losses) * total


@cache
def tokenizer() -> Any:
    return train_bpe([*PROMPTS, *CHOSEN, *REJECTED], 300)


@cache
def model() -> Any:
    """A small Llama whose next-token distributions are far from uniform."""
    made = Scratch(hidden=32, layers=2, heads=2, max_length=64).build(tokenizer(), seed=3)
    with torch.no_grad():
        for weights in made.parameters():
            if weights.ndim == 2:
                weights.mul_(8)
    return made


@cache
def reference() -> Any:
    """The policy, somewhat moved: log-ratios of responses are a few nats."""
    made = copy.deepcopy(model())
    draw = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(0.2 * weights.std() * torch.randn(weights.shape, generator=draw))
    return made


def _measured(loss: Tensor, policy: Any) -> Loss:
    found = torch.autograd.grad(loss, list(policy.parameters()))
    return Loss(loss.item(), torch.cat([part.flatten() for part in found]))


def by_trl(
    trainer: str, settings: Mapping[str, Any], rows: Sequence[int] = (0, 1, 2, 3)
) -> tuple[Loss, Mapping[str, Tensor]]:
    """What a TRL trainer's ``compute_loss`` says, and its collator's batch."""
    from datasets import Dataset

    made, needs_reference = trainers()[trainer], trainer in ("dpo", "kto")
    policy = copy.deepcopy(model())
    columns: dict[str, Any] = {"prompt": PROMPTS, "chosen": CHOSEN, "rejected": REJECTED}
    if trainer == "kto":
        columns = {"prompt": PROMPTS, "completion": CHOSEN, "label": LABELS}
    with tempfile.TemporaryDirectory() as folder:
        built = made[0](
            model=policy,
            args=made[1](
                output_dir=folder,
                use_cpu=True,
                bf16=False,
                report_to="none",
                remove_unused_columns=False,
                per_device_train_batch_size=len(rows),
                max_length=64,
                **settings,
            ),
            train_dataset=Dataset.from_dict({name: [col[i] for i in rows] for name, col in columns.items()}),
            processing_class=tokenizer(),
            **({"ref_model": copy.deepcopy(reference())} if needs_reference else {}),
        )
        batch = built.data_collator(list(built.train_dataset))
        return _measured(built.compute_loss(policy, batch), policy), batch


@cache
def trainers() -> Mapping[str, tuple[Any, Any]]:
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
    from trl.experimental.cpo import CPOConfig, CPOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return {
        "dpo": (DPOTrainer, DPOConfig),
        "kto": (KTOTrainer, KTOConfig),
        "cpo": (CPOTrainer, CPOConfig),
        "orpo": (ORPOTrainer, ORPOConfig),
    }


def by_xpo(
    overrides: Sequence[str], rows: Sequence[Row], mismatched: Sequence[Row] = (), learn: bool = True
) -> Loss:
    """The loss of a composition on these rows, which are a whole step (``learn``: one of training)."""
    policy = copy.deepcopy(model())
    composition = build(compose_config(list(overrides)))
    arrow = OffPolicy.of(composition, composition.reference.given)
    scoring = Scoring()
    host = standing(reference()) if composition.reference.given else None
    prepared = Prepared(host, scoring, "")
    module = OffPolicyModule(policy, arrow, scoring, prepared, composition.optimizer, 1)

    def collated(these: Sequence[Row]) -> Batch:
        totals = totals_of(rows, 1)
        collator = Collator(tokenizer().pad_token_id, prompt_edges=arrow.prompt_edges)
        return collator(these, range(len(these)), totals)

    batch = collated(rows)
    probes = Probes((), (collated(mismatched or rows),))
    steps = module.settle(probes, (batch, module.scores(batch).detach()), learn=learn)
    return _measured(module.evaluate(batch, steps)[0], policy)


def rows_of(batch: Mapping[str, Tensor]) -> tuple[list[Row], list[Row]]:
    """A TRL batch as xpo's rows, and the mismatched ones where TRL made some."""
    if "label" in batch:
        labels = batch["label"].tolist()
        own, other = _texts(batch, ""), _texts(batch, "KL_") if "KL_input_ids" in batch else []
        return _singles(own, labels), _singles(other, labels[: len(other)])
    if "chosen_input_ids" in batch:
        trained = {part: batch[f"{part}_labels"] != -100 for part in ("chosen", "rejected")}
        chosen, rejected = (
            _split(batch[f"{part}_input_ids"], batch[f"{part}_attention_mask"], mask)
            for part, mask in trained.items()
        )
    else:
        texts = _texts(batch, "")
        chosen, rejected = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    return [_pair(prompt, good, bad) for (prompt, good), (_, bad) in zip(chosen, rejected, strict=True)], []


def _texts(batch: Mapping[str, Tensor], prefix: str) -> list[tuple[list[int], list[int]]]:
    ids, present, trained = (
        batch[f"{prefix}{name}"] for name in ("input_ids", "attention_mask", "completion_mask")
    )
    return _split(ids, present, trained.bool())


def _split(ids_BS: Tensor, present_BS: Tensor, trained_BS: Tensor) -> list[tuple[list[int], list[int]]]:
    """Prompt and response of each row."""
    return [
        (ids[present.bool() & ~trained].tolist(), ids[present.bool() & trained].tolist())
        for ids, present, trained in zip(ids_BS, present_BS, trained_BS, strict=True)
    ]


def _singles(texts: Sequence[tuple[list[int], list[int]]], labels: Sequence[bool]) -> list[Row]:
    return [
        Row(prompt, [response], good=[float(label)], bad=[float(not label)], demo=[1.0])
        for (prompt, response), label in zip(texts, labels, strict=True)
    ]


def _pair(prompt: list[int], chosen: list[int], rejected: list[int]) -> Row:
    return Row(
        prompt,
        [chosen, rejected],
        prefer=[[0.0, 1.0], [0.0, 0.0]],
        good=[0.5, 0.0],
        bad=[0.0, 0.5],
        demo=[1.0, 0.0],
        scores=[1.0, 0.0],
        wins=[[0.5, 1.0], [0.0, 0.5]],
        margins=[[0.0, 1.0], [-1.0, 0.0]],
    )
