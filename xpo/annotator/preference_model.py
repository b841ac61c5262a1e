"""A trained preference model compares responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record
from xpo.errors import UserError
from xpo.registry import register
from xpo.reward_model.ask import compares_pairs, hash_of, load, tell_cuts
from xpo.reward_model.saved import TOKENS

KEY = "annotator.path"


@register("annotator", "preference_model")
@dataclass(frozen=True)
class PreferenceModel(Labeller):
    """P(i beats j) of a head that reads both responses, so that preferences may go in circles.

    ``path`` is the ``model/`` of a run with reward=head reward_form=pairwise, or a hub name of such. A
    response's score is its mean rate of winning against the others of its prompt. ``tokens`` are positions of
    a forward pass. Raises ``UserError`` for a folder that scores single responses.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})
    compares: ClassVar[bool] = True  # it says nothing of a response alone

    path: str
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")
        compares_pairs(self.path, KEY)

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Which models."""
        return ((KEY, self.path),)

    def fingerprint(self, desk: Desk) -> str:
        """The model's hash."""
        return repr((type(self).__name__, hash_of(self.path, KEY)))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Win probabilities."""
        model = load(self.path, KEY, pairs=True)
        for record, (opinion,) in zip(records, model.opinions(records, self.tokens), strict=True):
            if len(record.responses) < 2:
                raise UserError("annotator=preference_model compares responses, and this row has one")
            assert opinion.log_odds_BKK is not None
            yield Verdict(wins=tuple(map(tuple, torch.sigmoid(opinion.log_odds_BKK.double()).tolist())))
        if not desk.passing:
            tell_cuts([model], [self.path])
