"""What a process or span model says of a whole response: of each part, of all of them, at each token."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.data.counts import Counts
from xpo.data.nested import Cut, Cutter
from xpo.data.record import Example, Record, Text
from xpo.data.segments import Part, beginning, content, visible
from xpo.data.tokenize import spelled
from xpo.data.truncate import Limits
from xpo.errors import UserError
from xpo.judge.windows import until_error
from xpo.reward_model.heads import Opinion
from xpo.reward_model.plain import Rows, as_records
from xpo.reward_model.saved import TOKENS, SavedReward
from xpo.reward_model.texts import limits_of
from xpo.scoring.pack import TokenRow


@dataclass(frozen=True)
class Judged:
    """A response's parts, in characters, and the log-odds (nats) that each is right, for each member."""

    parts: tuple[Part, ...]
    logit_MS: Tensor

    def log_score_M(self, how: str = "product") -> Tensor:
        """The log of the solution's score; see ``log_score``."""
        return log_score(self.logit_MS, how)


def log_score(logit_S: Tensor, how: str = "product") -> Tensor:
    """log of the score of a solution of S steps, over the last dimension, from log-odds of its steps.

    ``product``: P(all steps are right), Lightman et al. 2023, arXiv 2305.20050, section 2.6 and appendix F,
    which compares it with the ``minimum``; ``mean``: of the probabilities. In float64 and in logarithms, so
    that no product of hundreds of steps becomes 0.
    """
    if how not in SCORES:
        raise ValueError(f"a solution's score is one of {', '.join(SCORES)}, got {how!r}")
    return SCORES[how](logsigmoid(logit_S.double()))


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "product": lambda logp_S: logp_S.sum(-1),
    "minimum": lambda logp_S: logp_S.amin(-1),
    "mean": lambda logp_S: logp_S.logsumexp(-1) - math.log(logp_S.shape[-1]),
}


def judged_parts(saved: SavedReward, rows: Rows, tokens: int = TOKENS) -> Iterator[tuple[Judged, ...]]:
    """For each row what is said of each of its responses.

    A row is a record, or ``{"prompt": ..., "completions": [whole responses]}``. Responses are taken apart as
    in training: at the ends that a record gives (``steps``), else by the rule of the folder. Parts beyond
    the model's window have no say; of a response whose first part does not fit, what is left of it is read.
    Both are counted in ``saved.reader.counts``. ``tokens`` are positions of a forward pass. Raises
    ``UserError`` for a model of whole responses, and when it is the turn of a response without text.
    """
    if not saved.by_parts:
        raise UserError(
            "this reward model scores whole responses, and knows no parts of them: train one with "
            "reward_level=step or span (algo=reward_prm, reward_span), or ask it for opinions"
        )
    asked, error = until_error(_Asked.of(saved, record) for record in as_records(rows))
    said = saved.of_tokens([row for one in asked for row in one.rows], tokens)
    for one in asked:
        reward_RMK = [torch.stack([o.reward_BK for o in next(said)]) for _ in one.rows]
        yield tuple(
            Judged(parts, reward_RMK[r][:, places])
            for parts, (r, places) in zip(one.parts, one.places, strict=True)
        )
    if error is not None:
        raise error


def rewards(
    saved: SavedReward, rows: Rows, how: str = "product", tokens: int = TOKENS
) -> Iterator[tuple[Opinion, ...]]:
    """Each member's opinion of each row's responses as wholes: of a model of parts the log score."""
    if not saved.by_parts:
        yield from saved.opinions(rows, tokens)
        return
    for said in judged_parts(saved, rows, tokens):
        score_KM = torch.stack([judged.log_score_M(how) for judged in said])
        yield tuple(Opinion(score_K) for score_K in score_KM.unbind(1))


def token_scores(
    saved: SavedReward,
    rows: Rows,
    tokenizer: Any,
    value: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor:
    """score_BKT: each part's value at the token where it ends, 0 elsewhere, in tokens of ``tokenizer``.

    ``value`` of the mean log-odds over members, such as ``torch.sigmoid``. Tokens are those of each response
    behind its prompt, EOS included. Parts that end in one token add up (Wu et al.'s code keeps the last).
    """
    records = as_records(rows)
    table = [
        [_at_tokens(record, k, judged, tokenizer, value) for k, judged in enumerate(said)]
        for record, said in zip(records, judged_parts(saved, records), strict=True)
    ]
    widest, longest = max(map(len, table)), max(len(row_T) for line in table for row_T in line)
    score_BKT = torch.zeros(len(table), widest, longest, dtype=torch.float64)
    for b, line in enumerate(table):
        for k, row_T in enumerate(line):
            score_BKT[b, k, : len(row_T)] = row_T
    return score_BKT


@dataclass(frozen=True)
class _Asked:
    """One record as rows; ``places``: for each response its row, and where in it each part's reading is."""

    rows: list[TokenRow]
    parts: list[tuple[Part, ...]]
    places: list[tuple[int, list[int]]]

    @classmethod
    def of(cls, saved: SavedReward, record: Record) -> _Asked:
        rows: dict[tuple[int, ...], list[list[int]]] = {}
        made, places = [], []
        cutter = Cutter(saved.tokenizer, limits_of(saved.window))
        for k in range(len(record.responses)):
            parts = parts_of(saved, record, k)
            cut = _cut(cutter, record, record.responses[k], parts, saved.reader.counts)
            sizes = _read(cut, saved.reader.counts)
            readings = rows.setdefault(tuple(cut.prompt), [])
            distinct = sorted(set(sizes))
            at = {size: len(readings) + i for i, size in enumerate(distinct)}
            readings += [cut.response[:size] for size in distinct]
            places.append((list(rows).index(tuple(cut.prompt)), [at[size] for size in sizes]))
            made.append(parts[: len(sizes)])
        return cls([(list(prompt), readings) for prompt, readings in rows.items()], made, places)


def parts_of(saved: SavedReward, record: Record, k: int) -> tuple[Part, ...]:
    """The parts of a response, none if it has no text: those that the record gives, else the rule's."""
    text = content(record, record.responses[k])
    given = None if record.steps is None else record.steps[k]
    if given is not None:
        return tuple(visible(text, [step.end for step in given]))
    assert saved.meaning is not None
    return tuple(saved.judge.parts.reward_level.parts(text, saved.meaning.step_separator))


def _cut(cutter: Cutter, record: Record, response: Text, parts: Sequence[Part], counts: Counts) -> Cut:
    item = Example(
        record.prompt,
        tuple(beginning(response, part.end) for part in parts),
        whole=response,
        where=record.where,
    )
    dropped = Counts(noted=counts.noted)
    found = cutter.alone(item, dropped) if parts else None
    if found is None:
        raise UserError(f"{record.where}: a response has no text that could be scored ({dropped.reasons()})")
    return found


def _read(cut: Cut, counts: Counts) -> list[int]:
    """Where the parts within the window end, which are the first ones; at least one is read."""
    sizes = [size for size in cut.sizes if size is not None]
    counts.note("part cut off", len(cut.sizes) - max(1, len(sizes)))
    counts.note("first part cut", int(not sizes))
    return sizes or [len(cut.response)]


def _at_tokens(
    record: Record, k: int, said: Judged, tokenizer: Any, value: Callable[[Tensor], Tensor]
) -> Tensor:
    response = record.responses[k]
    cut = _cut(Cutter(tokenizer, Limits()), record, response, said.parts, Counts())
    own = spelled(Example(record.prompt, (response,), where=record.where), tokenizer, Limits(), {})
    assert own is not None  # it has parts
    score_T = torch.zeros(len(own[1][0]), dtype=torch.float64)
    value_S = value(said.logit_MS.double().mean(0))
    for size, one in zip(cut.sizes, value_S, strict=True):
        assert size is not None
        score_T[size - 1] += one
    return score_T
