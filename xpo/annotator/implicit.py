"""The reward that a trained policy implies scores responses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.record import Record
from xpo.judge.windows import in_windows
from xpo.model.loaded import best_device, fingerprint
from xpo.registry import register
from xpo.reward_model.ask import Stamp, cuts, stamp
from xpo.reward_model.saved import TOKENS, positions
from xpo.reward_model.texts import OwnReader, limits_of
from xpo.run.manifest import hash_template, hash_text, hash_tokenizer
from xpo.run.say import say
from xpo.scorer.implicit import REFERENCE, ImplicitReward
from xpo.scoring.pack import TokenRow


@register("annotator", "implicit")
@dataclass(frozen=True)
class Implicit(Labeller):
    """Scores beta link(log policy - log reference) of a trained policy (arXiv 2305.18290).

    ``run``: the folder of a finished run, whose settings of reward, length and divergence are taken; with a
    reference it has to be one with reward_level=token, which leaves its reference behind. Or ``path``,
    ``reference`` (Hugging Face folders or hub names) and ``beta``: reverse KL, summed over tokens. ``tokens``
    are positions of a forward pass. Raises ``ValueError`` for keys that nothing would read.
    """

    gives: ClassVar[frozenset[str]] = FEEDBACK & {"comparisons", "labels", "scores"}

    run: str | None = None
    path: str | None = None
    reference: str | None = None
    beta: float | None = None
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        parts = {"path": self.path, "reference": self.reference, "beta": self.beta}
        given = [name for name, value in parts.items() if value is not None]
        if self.run is not None and given:
            raise ValueError(f"{given[0]} is not read where run says it all: give run, or {', '.join(parts)}")
        if self.run is None and len(given) < len(parts):
            lacking = ", ".join(name for name in parts if name not in given)
            raise ValueError(f"give run, or all of {', '.join(parts)}: missing {lacking}")
        if self.beta is not None and not 0 < self.beta < math.inf:
            raise ValueError(f"beta must be above 0 and finite, got {self.beta}")
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Which models; a run's folder is looked into when it is its turn."""
        given = {"annotator.path": self.path, "annotator.reference": self.reference}
        return tuple((key, path) for key, path in given.items() if path is not None)

    def fingerprint(self, desk: Desk) -> str:
        """Hashes of both models, and the settings."""
        places = [f"{self.run}/model", f"{self.run}/{REFERENCE}"] if self.run is not None else self._places
        files = tuple(stamp(place) for place in places)
        return repr((type(self).__name__, _hash_of(self, files)))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Scores in nats."""
        reward, counts = self.load(), Counts()
        window = int(reward.policy.config.get_text_config().max_position_embeddings)
        reader = OwnReader(reward.tokenizer, limits_of(window), reward.level.ends, counts)

        def score(rows: Sequence[TokenRow]) -> list[Verdict]:
            score_BK = reward.score_BK(reward.batch(rows)).tolist()
            return [
                Verdict(scores=tuple(found[: len(row[1])])) for found, row in zip(score_BK, rows, strict=True)
            ]

        yield from in_windows(records, reader.row, positions, score, self.tokens)
        if cuts(counts):
            say(f"{self.run or self.path}: texts longer than the model's window: {cuts(counts)}")

    def load(self) -> ImplicitReward:
        """Both models, on the accelerator where there is one. Raises ``UserError`` for what is not there."""
        if self.run is not None:
            found = ImplicitReward.of_run(self.run)
        else:
            path, reference = self._places
            assert self.beta is not None
            keys = "annotator.path", "annotator.reference"
            found = ImplicitReward.of_folders(path, reference, beta=self.beta, keys=keys)
        for model in found.models:
            model.to(best_device())
        return found

    @property
    def _places(self) -> tuple[str, str]:
        assert self.path is not None and self.reference is not None
        return self.path, self.reference


@lru_cache(maxsize=64)
def _hash_of(option: Implicit, files: tuple[Stamp, ...]) -> str:
    """Read once, until the files change: models are loaded for it, and let go."""
    reward = option.load()
    models = [fingerprint(model) for model in reward.models]
    settings = repr((reward.beta, reward.divergence, reward.level, reward.length))
    tokenizer = hash_tokenizer(reward.tokenizer), str(hash_template(reward.tokenizer))
    return hash_text(*models, *tokenizer, settings)
