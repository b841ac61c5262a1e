"""A causal language model on this machine as a judge: exact probabilities of options, and drawn answers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from xpo.contracts import Batch, Row, StepTotals
from xpo.data.counts import Counts
from xpo.data.plan import cost
from xpo.data.record import Example
from xpo.data.tokenize import ids_of, tokenize
from xpo.data.truncate import Limits
from xpo.errors import UserError
from xpo.judge.backend import Conversation, Draw
from xpo.judge.errors import TooLong
from xpo.judge.turns import Head, head
from xpo.judge.windows import in_windows
from xpo.model.hf import HuggingFace, load_pretrained
from xpo.model.loaded import best_device, fingerprint
from xpo.run.manifest import hash_template, hash_text, hash_tokenizer
from xpo.run.samples import Generation, Policy, generate
from xpo.scoring.pack import pack
from xpo.scoring.parts import evaluating
from xpo.scoring.path import choose_path, self_check
from xpo.scoring.score import Scoring


class LocalBackend:
    """A ``xpo.judge.backend.Backend`` over a model and its tokenizer, in batches of ``tokens`` positions.

    The probability of an option is the model's own, of the option's tokens after the conversation, over the
    sum of all options'. EOS does not count: a judge may go on after its answer. Of two options of which one
    begins like the other ("1" and "10") the shorter has the mass of what does not go on as the longer. Prompt
    and option are tokenised together, so that a token may span the two.

    Answers are drawn with the model's own temperature scaling and stop at EOS; ``Draw.seed`` fixes them for
    the same conversations in the same order. A conversation that the model's window does not hold raises
    ``UserError`` when it is its turn, and is never cut.
    """

    def __init__(self, policy: Policy, tokens: int = 16384) -> None:
        if policy.scoring.support is not None:
            raise UserError("a model of an enumerable world's symbols cannot be asked about texts")
        if tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {tokens}")
        self._policy, self._tokens, self._checked = policy, tokens, False

    @property
    def tokenizer(self) -> Any:
        """The model's."""
        return self._policy.tokenizer

    @classmethod
    def load(
        cls, option: HuggingFace, key: str, tokens: int = 16384, device: str | None = None
    ) -> LocalBackend:
        """From a folder or hub name; ``key`` is the config key that messages blame. ``device`` None: the
        accelerator where there is one."""
        loaded = load_pretrained(option, key)
        path, _ = choose_path(loaded.model)
        model = loaded.model.to(device or best_device())
        return cls(Policy(model, loaded.tokenizer, Scoring(path=path)), tokens)

    @property
    def fingerprint(self) -> str:
        """Weights, tokenizer and chat template."""
        tokenizer = self._policy.tokenizer
        template = hash_template(tokenizer)
        return hash_text(fingerprint(self._policy.model), hash_tokenizer(tokenizer), str(template))

    def options(self, asked: Sequence[Conversation], options: Sequence[str]) -> Iterator[tuple[float, ...]]:
        """``ValueError`` for options that are empty or cannot be told apart."""
        check_options(options)
        yield from in_windows(asked, lambda one: self._row(one, options), cost, self._shares, self._tokens)

    def answers(self, asked: Sequence[Conversation], draw: Draw) -> Iterator[tuple[str, ...]]:
        """At temperature 0 all ``draw.n`` answers are the likeliest one, token by token."""

        def size(question: _Question) -> int:
            return (len(question.ids) + draw.max_new_tokens) * copies

        def answer(questions: Sequence[_Question]) -> list[tuple[str, ...]]:
            found = self._generated([question.ids for question in questions for _ in range(copies)], draw)
            texts = [
                tuple(question.head.said(text) for text in found[i * copies : (i + 1) * copies])
                for i, question in enumerate(questions)
            ]
            return [text * (draw.n // copies) for text in texts]

        copies = draw.n if draw.temperature else 1
        room = draw.max_new_tokens
        yield from in_windows(asked, lambda one: self._question(one, room), size, answer, self._tokens)

    def _row(self, conversation: Conversation, options: Sequence[str]) -> Row:
        """The conversation and the options' own tokens."""
        start, counts = head(conversation, self._policy.tokenizer), Counts()
        example = Example(start.text, tuple(start.glue + option for option in options))
        rows = tokenize([example], self._policy.tokenizer, Limits(), counts, ends=False)
        if not rows or len(rows[0].responses) < len(options):
            reasons = ", ".join(counts.as_dict()["dropped"]) or "two of them have the same tokens"
            raise UserError(
                f"the options {', '.join(options)} cannot be scored after this conversation: {reasons}"
            )
        self._check_window(len(rows[0].prompt), max(map(len, rows[0].responses)), "its longest option has")
        return rows[0]

    def _question(self, conversation: Conversation, room: int) -> _Question:
        start = head(conversation, self._policy.tokenizer)
        ids = ids_of(start.text, self._policy.tokenizer)
        self._check_window(len(ids), room, "its answer may have (max_new_tokens)")
        return _Question(start, ids)

    def _check_window(self, asked: int, room: int, what: str) -> None:
        positions = int(self._policy.model.config.get_text_config().max_position_embeddings)
        if asked + room > positions:
            raise TooLong(
                f"the judge's question has {asked} tokens and {what} {room}, more than the window of "
                f"{positions} positions of the model: leave long rows out, shorten the template or its "
                "exemplars, or take a judge with a longer window"
            )

    @torch.no_grad()
    def _shares(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        model = self._policy.model
        batch = self._batch(rows)
        if not self._checked:
            scoring, _ = self_check(model, self._batch(rows[:1]), self._policy.scoring)
            self._policy = dataclasses.replace(self._policy, scoring=scoring)
            self._checked = True
        with evaluating(model):
            logp_BK = self._policy.scoring(model, batch).double().sum(-1).tolist()
        return [
            shares(logp[: len(row.responses)], row.responses) for logp, row in zip(logp_BK, rows, strict=True)
        ]

    def _batch(self, rows: Sequence[Row]) -> Batch:
        packed, mask_BKT = pack([(row.prompt, row.responses) for row in rows], pad_id=0)
        ones_B = torch.ones(len(rows))
        made = Batch(packed, mask_BKT, ones_B, torch.arange(len(rows)), StepTotals(float(len(rows)), 0.0, 1))
        return made.to(self._policy.model.device)

    def _generated(self, prompts: Sequence[Sequence[int]], draw: Draw) -> list[str]:
        seed = hashlib.sha256(repr((draw.seed, prompts)).encode()).digest()[:8]
        settings = Generation(draw.max_new_tokens, draw.temperature or 1.0, seed=int.from_bytes(seed) >> 1)
        plain = dataclasses.replace(self._policy, decoding=None)
        found = generate(plain, prompts, settings, sample=draw.temperature > 0)
        return [self._policy.tokenizer.decode(ids, skip_special_tokens=True) for ids in found]


@dataclasses.dataclass(frozen=True)
class _Question:
    head: Head
    ids: list[int]


def check_options(options: Sequence[str]) -> None:
    """``ValueError`` unless there are two or more, none empty, none twice."""
    if len(options) < 2 or not all(options) or len(set(options)) < len(options):
        raise ValueError(f"options must be two or more texts, none empty or twice, got {list(options)}")


def shares(logp: Sequence[float], tokens: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Log-probabilities (nats) of token sequences -> what share of their mass ends in each.

    A sequence's mass holds that of all that go on from it, which is taken off.
    """
    top = max(logp)
    mass = torch.tensor([value - top for value in logp], dtype=torch.float64).exp().tolist()
    for k in sorted(range(len(tokens)), key=lambda k: -len(tokens[k])):
        size = len(tokens[k])
        longer = [j for j, other in enumerate(tokens) if len(other) > size and other[:size] == tokens[k]]
        mass[k] = max(0.0, mass[k] - sum(mass[j] for j in longer))
    total = sum(mass)
    return tuple(value / total for value in mass)
