"""What a run that trains a reward model leaves: a classifier's folder, and held-out responses' scores."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from xpo.contracts import Batch, Row
from xpo.data.loader import EvalLoader
from xpo.explain.formula import formula
from xpo.reward_model.card import Apart, Reads, RewardCard, reward_card
from xpo.reward_model.folder import Meaning, classifier, save
from xpo.reward_model.heads import RewardHead
from xpo.reward_model.read import Judge
from xpo.run.files import write_text
from xpo.run.ranks import rank
from xpo.stages.alignment import Alignment

DEMONSTRATIONS = 512
"""At most so many, the first ones, make the offset."""


def leave_reward_model(
    alignment: Alignment, demonstrations: Sequence[Row], metrics: Mapping[str, float]
) -> None:
    """Write ``model/`` and ``scores.jsonl``, on rank 0."""
    if rank() != 0:
        return
    assert alignment.head is not None
    c, tokenizer = alignment.setting.composition, alignment.policy.tokenizer
    offset, sign = _offset(alignment, demonstrations[:DEMONSTRATIONS]), c.reward.sign
    zero = not c.objective.difference and "labels" in c.objective.needs
    meaning = Meaning.of(c.config, tuple(sign * mean for mean in offset), sign, zero)
    made = classifier(
        c.adapter.export(alignment.policy.model),
        _times(alignment.head, sign),
        meaning,
        None if tokenizer.pad_token_id == tokenizer.eos_token_id else tokenizer.pad_token_id,
    )
    level, together = c.reward_level, c.reward.together
    apart = None if level.ends else Apart.of(level, meaning.step_separator)
    reads = Reads(c.reward_form.of_pairs, apart, level.per_token, together)
    card = RewardCard(
        c.config["algo"],
        formula(alignment.rows_arrow).text,
        meaning.offset,
        dict(metrics),
        reads,
        sign,
        zero=meaning.zero,
    )
    save(made, tokenizer, alignment.setting.out / "model", reward_card(card))
    lines = [json.dumps(line, ensure_ascii=False) for line in _scored(alignment, offset)]
    write_text(alignment.setting.out / "scores.jsonl", "".join(f"{line}\n" for line in lines))


def _times(head: RewardHead, sign: int) -> RewardHead:
    """A head whose scores are costs where the sign is -1."""
    head = copy.deepcopy(head)
    with torch.no_grad():
        head.score.weight.mul_(sign)
    return head


def _offset(alignment: Alignment, rows: Sequence[Row]) -> tuple[float, ...]:
    """The mean score of demonstrations under each member.

    There is none of a model of pairs, nor where labels of single responses say what 0 is (even odds).
    """
    assert alignment.head is not None
    c = alignment.setting.composition
    if c.reward_form.of_pairs or not c.objective.difference or not rows:
        return (0.0,) * alignment.head.members
    sums, mass = torch.zeros(alignment.head.members), 0.0
    for batch, opinions in _opinions(alignment, rows):
        assert batch.demo_BK is not None
        weight_BK = batch.demo_BK * batch.weight_B[:, None]
        sums += torch.stack([(weight_BK * opinion.reward_BK).sum() for opinion in opinions]).cpu()
        mass += float(weight_BK.sum())
    return tuple((sums / mass).tolist())


def _opinions(alignment: Alignment, rows: Sequence[Row]) -> Iterator[tuple[Batch, Any]]:
    assert alignment.head is not None
    model, judge = alignment.policy.model, Judge(alignment.head, alignment.arrow)
    device = next(model.parameters()).device
    with alignment.setting.composition.trainer.autocast(device.type):
        for batch in EvalLoader(rows, alignment.sizes, alignment.collator()) if rows else ():
            batch = batch.to(device)
            yield batch, judge(model, alignment.policy.scoring, batch)


def _scored(alignment: Alignment, offset: tuple[float, ...]) -> Iterator[dict[str, Any]]:
    """A line for each held-out row: what was said of its responses, and what the row says of them."""
    rows = alignment.rows.test[: alignment.setting.composition.eval.samples]
    decode = alignment.policy.tokenizer.decode
    for batch, opinions in _opinions(alignment, rows):
        for b, index in enumerate(batch.index_B.tolist()):
            if index < 0:
                continue
            row, size = rows[index], len(rows[index].responses)
            members = [o.reward_BK[b, :size] - offset[m] for m, o in enumerate(opinions)]
            odds = opinions[0].log_odds_BKK
            yield {
                "prompt": decode(row.prompt, skip_special_tokens=True),
                "responses": [decode(response, skip_special_tokens=True) for response in row.responses],
                "rewards": torch.stack(members).mean(0).tolist(),
                "log_odds": None if odds is None else odds[b, :size, :size].tolist(),
                "given_scores": None if row.scores is None else [float(score) for score in row.scores],
                "source": row.source,
            }
