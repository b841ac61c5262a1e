"""A trained reward or preference model from its folder, asked about texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from xpo import registry
from xpo.contracts import Batch, StepTotals
from xpo.data.record import Example, Record
from xpo.data.tokenize import spelled
from xpo.data.truncate import Limits
from xpo.errors import UserError
from xpo.model.hf import load_tokenizer
from xpo.model.loaded import fingerprint, silence
from xpo.reward_model.folder import KEY
from xpo.reward_model.heads import Opinion, RewardHead
from xpo.reward_model.read import Judge
from xpo.scoring.pack import TokenRow, pack
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring

TOKENS = 16_384
"""Positions of a forward pass, padding included."""


@dataclass(frozen=True, eq=False)
class SavedReward:
    """``opinions(records)``: what each member of the head says of each record, the offset taken off."""

    model: Any
    tokenizer: Any
    judge: Judge
    scoring: Scoring
    offset_M: Tensor
    limits: Limits
    ends: bool

    @property
    def of_pairs(self) -> bool:
        """Whether log-odds of two responses are given, and no score of one."""
        return bool(self.judge.parts.reward_form.of_pairs)

    @property
    def fingerprint(self) -> str:
        """A hash of all weights, the head's too."""
        return fingerprint(self.model)

    def opinions(self, records: Sequence[Record], budget: int = TOKENS) -> Iterator[tuple[Opinion, ...]]:
        """For each record its members' opinions: K rewards in nats, K x K log-odds of a model of pairs."""
        rows = [self._row(record) for record in records]
        device = next(self.model.parameters()).device
        for group in _groups(rows, budget):
            packed, mask_BKT = pack([rows[i] for i in group], pad_id=0, whole=True)
            ones_B = torch.ones(len(group))
            totals = StepTotals(float(len(group)), 0.0, 1)
            batch = Batch(packed, mask_BKT, ones_B, torch.tensor(group), totals).to(device)
            members = [self._moved(m, opinion.to("cpu")) for m, opinion in enumerate(self._judged(batch))]
            for b, i in enumerate(group):
                size = len(rows[i][1])
                yield tuple(_of_row(opinion, b, size) for opinion in members)

    def _judged(self, batch: Batch) -> tuple[Opinion, ...]:
        return self.judge(self.model, self.scoring, batch)

    def _moved(self, member: int, opinion: Opinion) -> Opinion:
        if self.of_pairs:
            return opinion
        return Opinion(opinion.reward_BK - self.offset_M[member])

    def _row(self, record: Record) -> TokenRow:
        item = Example(record.prompt, record.responses, where=record.where)
        found = spelled(item, self.tokenizer, self.limits, {}, self.ends)
        if found is None:
            raise UserError(f"{record.where}: a prompt or response has no token, so it cannot be scored")
        return found


def load_reward(path: str, key: str = "path", *, attention: str = "sdpa") -> SavedReward:
    """What a run with reward=head left, or a hub name of such. Raises ``UserError`` that names ``key``."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForSequenceClassification

    where = f"{key}={path}"
    if Path(path).exists() and not (Path(path) / "config.json").is_file():
        raise UserError(f"{where} is no model folder: it has no config.json")
    try:
        config: Any = AutoConfig.from_pretrained(path)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            path, config=config, attn_implementation=attention
        )
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{where}: no reward model could be loaded: {str(error).splitlines()[0]}") from error
    silence(model)
    tokenizer = load_tokenizer(path, key, revision="main", trust_remote_code=False)
    return _of_classifier(model.eval(), tokenizer, config.to_dict().get(KEY), where)


def _of_classifier(model: Any, tokenizer: Any, meaning: dict[str, Any] | None, where: str) -> SavedReward:
    """``meaning`` None: somebody else's classifier, whose one number is a score at the last token."""
    weight_FD = model.score.weight
    plain = {name: {"name": option} for name, option in _PLAIN.items()}
    if meaning is None and len(weight_FD) != 1:
        raise UserError(
            f"{where} classifies into {len(weight_FD)} labels and says nothing of rewards (config.json)"
        )
    told = plain if meaning is None else meaning
    parts = SimpleNamespace(**{group: _made(group, told[group]) for group in _PLAIN})
    offset = tuple((meaning or {}).get("offset") or (0.0,) * len(weight_FD))
    head: RewardHead = parts.reward_form.head(parts.reward, weight_FD.shape[1], 0, weight_FD.dtype)
    if head.score.weight.shape != weight_FD.shape:
        raise UserError(
            f"{where}: config.json speaks of another head than the folder's {tuple(weight_FD.shape)}"
        )
    with torch.no_grad():
        head.score.weight.copy_(weight_FD)
    window = int(model.config.get_text_config().max_position_embeddings)
    return SavedReward(
        model,
        tokenizer,
        Judge(head.to(weight_FD.device).eval().requires_grad_(False), parts),
        Scoring(choose_path(model)[0]),
        torch.tensor(offset),
        Limits(max_length=window),
        parts.reward_level.ends,
    )


_PLAIN = {"reward_form": "pointwise", "reward_level": "response", "length": "sum", "reward": "head"}


def _made(group: str, node: dict[str, Any]) -> Any:
    values = {key: value for key, value in node.items() if key != "name"}
    return registry.component(group, node["name"])(**values)


def _of_row(opinion: Opinion, b: int, size: int) -> Opinion:
    odds = opinion.log_odds_BKK
    return Opinion(opinion.reward_BK[b, :size], None if odds is None else odds[b, :size, :size])


def _groups(rows: Sequence[TokenRow], budget: int) -> Iterator[list[int]]:
    """Consecutive rows that fit into one forward pass, or one row alone."""
    group: list[int] = []
    widest = 0
    for i, (prompt, responses) in enumerate(rows):
        width = max(widest, len(prompt) + sum(map(len, responses)))
        if group and width * (len(group) + 1) > budget:
            yield group
            group, width = [], len(prompt) + sum(map(len, responses))
        group.append(i)
        widest = width
    if group:
        yield group
