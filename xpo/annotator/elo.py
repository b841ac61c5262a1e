"""Scores from ratings over many comparisons."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import isfinite
from typing import Any, ClassVar, Literal

import numpy as np

from xpo.annotator.base import Desk, LabelError, Verdict, labelled
from xpo.annotator.ratings import Game, bradley_terry, expected, sequential
from xpo.data.record import Record
from xpo.registry import register

RIDGE, K_FACTOR = 0.01, 32.0
"""Of methods that read them, unless given."""


@register("annotator", "elo")
@dataclass(frozen=True)
class Elo:
    """Responses are scored by Elo ratings, fitted to the comparisons that the rows bring along.

    A row's comparisons are its ``wins``, else the pairs of its ranks or scores (a tie is half a win).
    ``over=prompt``: each response of a prompt is a player, and all rows of the prompt are its games;
    ``over=models``: the players are the systems that wrote the responses (column ``models``), the games those
    of all rows, and a response has the rating of its system.
    ``method=bradley_terry`` is the maximum of the likelihood, with a prior of strength ``ridge`` (null: 0.01;
    ``xpo.annotator.ratings``); ``sequential`` is Elo's update by ``k_factor`` (null: 32) in the order of the
    rows, on which it depends. ``normalise``: scores have mean 0 and variance 1 over the responses; else they
    are Elo points. Win probabilities go along. Each split is rated from its own rows. Raises ``LabelError``
    with the row for a response that was never compared.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})
    needs_policy: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    compares: ClassVar[bool] = False  # it says nothing of a response alone
    of_data: ClassVar[bool] = False  # what the data say of their own responses
    judges_parts: ClassVar[bool] = False  # verdicts say what parts of responses are worth
    cuts_scores: ClassVar[bool] = False  # a threshold of its own says which responses are good
    first: ClassVar[bool] = False  # something is trained before it can label
    label_model: ClassVar[None] = None

    over: Literal["prompt", "models"] = "prompt"
    method: Literal["bradley_terry", "sequential"] = "bradley_terry"
    ridge: float | None = None
    k_factor: float | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        read = {"bradley_terry": "ridge", "sequential": "k_factor"}
        for name, value in (("ridge", self.ridge), ("k_factor", self.k_factor)):
            if value is not None and read[self.method] != name:
                raise ValueError(f"{name} is not read with method={self.method}: set it to null")
            if value is not None and not (value > 0 and isfinite(value)):
                raise ValueError(f"{name} must be above 0 and finite, got {value}")

    def fingerprint(self, desk: Desk) -> str:
        """Ratings depend on the rows alone."""
        return repr(self)

    def __call__(self, records: Sequence[Record], desk: Desk | None = None) -> list[Record]:
        leagues: dict[Hashable, list[Record]] = {}
        for record in records:
            leagues.setdefault(record.prompt if self.over == "prompt" else None, []).append(record)
        rating = {}
        for league, members in leagues.items():
            rating.update({(league, name): value for name, value in self._rated(members).items()})
        rows = [self._ratings(record, rating) for record in records]
        scores = _normalised(rows) if self.normalise else rows
        return [
            labelled(record, Verdict(score, _wins(row)))
            for record, row, score in zip(records, rows, scores, strict=True)
        ]

    def _rated(self, records: Sequence[Record]) -> dict[Hashable, float]:
        """The rating of every player who met another one."""
        played = [game for record in records for game in self._games(record)]
        names = list(dict.fromkeys(name for one, other, _ in played for name in (one, other)))
        number = {name: i for i, name in enumerate(names)}
        games = tuple((number[one], number[other], share) for one, other, share in played)
        return dict(zip(names, _fitted(self, games, len(names)), strict=True)) if games else {}

    def _games(self, record: Record) -> Iterator[tuple[Hashable, Hashable, float]]:
        players, merit = self._players(record), record.merit
        for i, j in combinations(range(len(players)), 2):
            if players[i] == players[j]:
                continue
            if record.wins is not None:
                yield players[i], players[j], record.wins[i][j]
            elif merit is not None:
                yield players[i], players[j], 0.5 * (1 + (merit[i] > merit[j]) - (merit[i] < merit[j]))

    def _players(self, record: Record) -> Sequence[Hashable]:
        if self.over == "prompt":
            return record.responses
        if record.models is None:
            raise LabelError(
                f"{record.where}: annotator.over=models rates systems, and this row does not say which wrote "
                "its responses: add a column 'models', one name for each (or over=prompt)"
            )
        return record.models

    def _ratings(self, record: Record, rating: dict[Any, float]) -> tuple[float, ...]:
        league = record.prompt if self.over == "prompt" else None
        players = self._players(record)
        for place, player in enumerate(players):
            if (league, player) not in rating:
                whose = "" if self.over == "prompt" else f" of {player!r}"
                raise LabelError(
                    f"{record.where}: response {place + 1}{whose} was never compared with another: a rating "
                    "needs comparisons (ranks, scores or wins of several responses)"
                )
        return tuple(rating[league, player] for player in players)


@lru_cache(maxsize=4096)  # of a thousand prompts with four ranked responses few are different
def _fitted(option: Elo, games: tuple[Game, ...], players: int) -> tuple[float, ...]:
    if option.method == "sequential":
        return tuple(sequential(games, players, option.k_factor or K_FACTOR).tolist())
    return tuple(bradley_terry(games, players, option.ridge or RIDGE).tolist())


def _wins(row: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(expected(one - other) for other in row) for one in row)


def _normalised(rows: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Mean 0 and variance 1 over all responses. Raises ``LabelError`` where all are equal."""
    values = np.concatenate([np.asarray(row) for row in rows]) if rows else np.zeros(0)
    deviation = float(values.std()) if len(values) else 1.0
    if not deviation > 1e-9:
        raise LabelError(f"every one of {len(values)} responses has the same rating: nothing to normalise")
    mean = float(values.mean()) if len(values) else 0.0
    return [tuple((value - mean) / deviation for value in row) for row in rows]
