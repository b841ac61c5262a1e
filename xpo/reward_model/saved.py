"""A trained reward or preference model from its folder, asked about texts or tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch

from xpo import registry
from xpo.contracts import Batch, StepTotals
from xpo.data.truncate import for_two
from xpo.errors import UserError
from xpo.judge.windows import in_windows
from xpo.model.loaded import best_device, fingerprint
from xpo.reward_model.folder import GROUPS, Meaning, linear_score
from xpo.reward_model.heads import Opinion, RewardHead
from xpo.reward_model.load import Classifier, load_classifier
from xpo.reward_model.plain import Rows, as_records
from xpo.reward_model.read import Judge
from xpo.reward_model.texts import ForeignReader, OwnReader, Reader, limits_of
from xpo.run.manifest import hash_template, hash_text, hash_tokenizer
from xpo.scoring.joined import join, joined_cost, longest_joined
from xpo.scoring.pack import TokenRow, pack
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring

TOKENS = 16_384
"""Positions of a forward pass, padding included."""


@dataclass(frozen=True, eq=False, repr=False)
class SavedReward:
    """What each member of a saved head says of texts or tokens: rewards in nats, higher is better.

    ``meaning`` None: somebody else's classifier, whose one number is a score.
    """

    model: Any
    tokenizer: Any
    judge: Judge
    scoring: Scoring
    reader: Reader
    meaning: Meaning | None

    def __repr__(self) -> str:
        """One line: the modules inside would fill a screen."""
        of = "two responses" if self.of_pairs else "parts of responses" if self.by_parts else "responses"
        about = f"opinions of {of}, members={self.members}, window={self.window}"
        return f"SavedReward({type(self.model).__name__}, {about})"

    @property
    def of_pairs(self) -> bool:
        """Whether log-odds of two responses are given, and no score of one."""
        return bool(self.judge.parts.reward_form.of_pairs)

    @property
    def by_parts(self) -> bool:
        """Whether parts of responses are judged, and no whole ones."""
        return self.meaning is not None and self.meaning.by_parts

    @property
    def members(self) -> int:
        """How many opinions a record gets."""
        return self.judge.head.members

    @property
    def sign(self) -> int:
        """-1 for a model of costs, whose opinions are minus the cost."""
        return 1 if self.meaning is None else self.meaning.sign

    @property
    def window(self) -> int:
        """How many positions the model has."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that an opinion depends on: weights, the head's too, tokenizer and meaning."""
        meaning = None if self.meaning is None else sorted(self.meaning.as_dict().items())
        tokenizer = hash_tokenizer(self.tokenizer), str(hash_template(self.tokenizer))
        return hash_text(fingerprint(self.model), *tokenizer, repr(meaning))

    def opinions(self, rows: Rows, tokens: int = TOKENS) -> Iterator[tuple[Opinion, ...]]:
        """Each row's opinions: K rewards, and K x K log-odds of a model of pairs.

        A row is a record, or ``{"prompt": ..., "completions": [...]}``. ``tokens`` is the number of positions
        of a forward pass. A row that cannot be read raises ``UserError`` when it is its turn. Of a model of
        steps or spans see ``xpo.reward_model.solution.judged_parts``.
        """
        yield from in_windows(as_records(rows), self.reader.row, self._positions, self._judged, tokens)

    def of_tokens(self, rows: Sequence[TokenRow], tokens: int = TOKENS) -> Iterator[tuple[Opinion, ...]]:
        """The same for prompts and responses as token ids of the model's own vocabulary, EOS included."""
        yield from in_windows(rows, self._fitting, self._positions, self._judged, tokens)

    def of_samples(
        self, rows: Sequence[TokenRow], tokenizer: Any, records: Callable[[], Rows]
    ) -> Iterator[tuple[Opinion, ...]]:
        """A policy's samples, as they are where its tokenizer is this model's, else by their texts.

        ``records`` gives those texts, and is called only then.
        """
        yield from self.of_tokens(rows) if self.reader.reads(tokenizer) else self.opinions(records())

    def _positions(self, row: TokenRow) -> int:
        return joined_cost(row) if self.judge.parts.reward.together else positions(row)

    def _fitting(self, row: TokenRow) -> TokenRow:
        together = self.judge.parts.reward.together
        longest = longest_joined(row) if together else len(row[0]) + max(map(len, row[1]))
        if longest > self.window:
            what = "prompt and two responses" if together else "prompt and response"
            raise UserError(f"{what} are {longest} tokens long, the reward model's window is {self.window}")
        return row

    def _judged(self, rows: Sequence[TokenRow]) -> list[tuple[Opinion, ...]]:
        packed, mask_BKT = pack(rows, pad_id=0, whole=True)
        ones_B = torch.ones(len(rows))
        totals = StepTotals(float(len(rows)), 0.0, 1)
        between = self.judge.parts.reward.separator(self.tokenizer)
        joined = None if between is None else join(rows, between, pad_id=0)
        batch = Batch(packed, mask_BKT, ones_B, torch.arange(len(rows)), totals, joined=joined)
        opinions = self.judge(self.model, self.scoring, batch.to(self.model.device))
        members = [self._moved(m, opinion.to("cpu")) for m, opinion in enumerate(opinions)]
        return [tuple(_of_row(opinion, b, len(row[1])) for opinion in members) for b, row in enumerate(rows)]

    def _moved(self, member: int, opinion: Opinion) -> Opinion:
        """Offset and sign taken off; log-odds have neither."""
        if self.of_pairs or self.meaning is None:
            return opinion
        offset = self.meaning.offset[member] if self.meaning.offset else 0.0
        return dataclasses.replace(opinion, reward_BK=self.sign * (opinion.reward_BK - offset))


def load_reward(
    path: str, key: str = "path", *, attention: str = "sdpa", device: str | None = None
) -> SavedReward:
    """What a run with reward=head left, or somebody else's classifier of one label: a folder or a hub name.

    ``device`` None: the accelerator where there is one. Raises ``UserError`` that names ``key``.
    """
    found = load_classifier(path, key, attention)
    where = f"{key}={path}"
    head, parts = _head(found, where)
    model = found.model.to(device or best_device())
    limits = limits_of(int(model.config.get_text_config().max_position_embeddings))
    limits = for_two(limits) if parts.reward.together else limits
    reader: Reader = OwnReader(found.tokenizer, limits, parts.reward_level.ends)
    if found.meaning is None:
        reader = ForeignReader(found.tokenizer, limits, model.config.get_text_config().pad_token_id)
    judge = Judge(head.to(model.device).eval().requires_grad_(False), parts)
    return SavedReward(model, found.tokenizer, judge, Scoring(choose_path(model)[0]), reader, found.meaning)


def _head(found: Classifier, where: str) -> tuple[RewardHead, Any]:
    """The folder's head as xpo's own, and the parts that say what it reads."""
    weight_FD = linear_score(found.model, where).weight.detach()
    if found.meaning is None and len(weight_FD) != 1:
        raise UserError(
            f"{where} classifies into {len(weight_FD)} labels and says nothing of rewards in its config.json"
        )
    told = _FOREIGN if found.meaning is None else found.meaning.__dict__
    parts = SimpleNamespace(**{group: _made(group, told[group], where) for group in GROUPS})
    dtype = torch.promote_types(weight_FD.dtype, torch.float32)
    head: RewardHead = parts.reward_form.head(parts.reward, weight_FD.shape[1], 0, dtype)
    offsets = 0 if found.meaning is None else len(found.meaning.offset)
    if head.score.weight.shape != weight_FD.shape or offsets not in (0, head.members):
        raise UserError(
            f"{where}: config.json speaks of a head of {len(head.score.weight)} outputs and {head.members} "
            f"members, and there are {len(weight_FD)} outputs and {offsets} offsets"
        )
    with torch.no_grad():
        head.score.weight.copy_(weight_FD)
    return head, parts


_FOREIGN: dict[str, dict[str, Any]] = {
    "reward_form": {"name": "pointwise"},
    "reward_level": {"name": "response"},
    "length": {"name": "sum"},
    "reward": {"name": "head"},
}


def _made(group: str, node: dict[str, Any], where: str) -> Any:
    values = {key: value for key, value in node.items() if key != "name"}
    try:
        return registry.component(group, str(node["name"]))(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}: its config.json sets {group} to {node}, which is none: {error}") from error


def positions(row: TokenRow) -> int:
    """Of a prompt and its responses, before prefixes are shared."""
    return len(row[0]) + sum(map(len, row[1]))


def _of_row(opinion: Opinion, b: int, size: int) -> Opinion:
    odds = opinion.log_odds_BKK
    return Opinion(opinion.reward_BK[b, :size], None if odds is None else odds[b, :size, :size])
