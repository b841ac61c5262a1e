"""Where the rows of a run in the gold world come from, and what it is measured by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xpo.contracts import Batch, Row
from xpo.data.counts import Counts
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits
from xpo.gold import rows as build
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.ruler import Ruler
from xpo.gold.world import World
from xpo.stages.source import Policy, Rows

if TYPE_CHECKING:
    from xpo.data.gold import Gold

_TRAIN, _TEST = 0, 1  # streams of draws
_HELD_OUT = 512  # draws, where the population cannot be enumerated


def draws_lists(parts: Any) -> bool:
    """Whether a row's responses matter together, so that one row of all of them would be another method."""
    return parts.arity.sizes[1] is None or parts.length.several


class GoldSource:
    """Rows of one run; ``parts`` is its composition. Implements ``xpo.stages.source.Source``."""

    demonstrations_given = True

    def __init__(self, option: Gold, parts: Any) -> None:
        option.check(parts)
        self._option, self._parts = option, parts
        self.world: World = option.world()
        self.tokenizer = self.world.tokenizer()
        self.support = self.world.support()
        self._counts: dict[str, Counts] = {}

    def texts(self) -> Iterable[str]:
        """Prompts and responses; the world brings its tokenizer, so nobody has to train one on them."""
        return (*self.world.prompt_texts, *self.world.response_texts)

    def tokenize(self, tokenizer: Any, window: int) -> None:
        """Nothing to do but to check the window: rows are made of the world's own tokens."""
        longest = max(map(len, self.world.prompt_ids)) + int(self.world.length_N.max())
        if window < longest:
            raise ValueError(
                f"the gold world's rows are {longest} tokens long, the model's window is {window}"
            )

    def demonstrations(self) -> Rows:
        """The base policy to imitate: its exact probabilities, or as many draws as the option says."""
        number = self._option.demonstrations
        exact = build.demonstration_rows(self.world)
        if number is None:
            return Rows(exact, exact, population=True)
        drawn = build.draw(self.world, self.world.base_logp_XN, 1, number, self._seed(_TRAIN))
        return Rows(build.imitation_rows(self.world, drawn[..., 0]), exact)

    def rows(self, start: Policy, needs: frozenset[str]) -> Rows:
        """Rows for alignment; the policy that alignment finds is the reference and has drawn the responses."""
        if not self._parts.feedback.gives & {"comparisons", "labels", "scores"}:
            return self.demonstrations()
        ref_logp_XN = self._logp(start)
        if self._option.mode == "sampled":
            return self._sampled(ref_logp_XN, needs)
        if draws_lists(self._parts):
            return Rows(self._lists(ref_logp_XN, _TRAIN), self._lists(ref_logp_XN, _TEST))
        rows = build.population_rows(self.world, ref_logp_XN, self._wanted(needs))
        mismatched = self._parts.objective.statistic_rows == "mismatched"
        return Rows(
            rows, rows, build.probe_rows(self.world, ref_logp_XN) if mismatched else None, population=True
        )

    def measure(self, start: Policy) -> Ruler:
        """Exact metrics of a model against ``start``."""
        return Ruler(self.world, start.scoring, self._logp(start), self._parts)

    def fingerprint(self) -> str:
        """A hash of the world and of what is asked of it: what all methods on the same data share."""
        return hashlib.sha256(repr((self._option, self._parts.annotator)).encode()).hexdigest()

    def counts(self) -> Mapping[str, Any]:
        """Rows kept and dropped, by split and reason (known after ``rows``)."""
        return {split: tally.as_dict() for split, tally in self._counts.items()}

    @property
    def _from_pairs(self) -> bool:
        return "comparisons" in self._parts.feedback.gives

    def _wanted(self, needs: frozenset[str]) -> build.Wanted:
        return build.Wanted(needs, self._parts.annotator.noise, labels_from_pairs=self._from_pairs)

    def _sampled(self, ref_logp_XN: Tensor, needs: frozenset[str]) -> Rows:
        """Drawn responses with drawn labels, through the same components as any other data."""
        drawn_XMK = self._drawn(ref_logp_XN, _TRAIN)
        counts = self._counts["train"] = Counts(read=drawn_XMK.shape[0] * drawn_XMK.shape[1])
        parts = self._parts
        labelled = parts.annotator(build.records(self.world, drawn_XMK))
        examples = parts.arity(parts.feedback(labelled, counts), counts)
        train = tokenize(examples, self.tokenizer, Limits(), counts)
        counts.kept = len(train)
        return Rows(train, self._held_out(ref_logp_XN, needs))

    def _held_out(self, ref_logp_XN: Tensor, needs: frozenset[str]) -> list[Row]:
        if draws_lists(self._parts):
            return self._lists(ref_logp_XN, _TEST)
        return build.population_rows(self.world, ref_logp_XN, self._wanted(needs))

    def _lists(self, ref_logp_XN: Tensor, stream: int) -> list[Row]:
        return build.list_rows(self.world, self._drawn(ref_logp_XN, stream), self._parts.annotator.noise)

    def _drawn(self, ref_logp_XN: Tensor, stream: int) -> Tensor:
        size = self._option.row_size(self._parts)
        number = self._option.row_number() if stream == _TRAIN else _HELD_OUT
        return build.draw(self.world, ref_logp_XN, size, number, self._seed(stream))

    def _seed(self, stream: int) -> int:
        return 2 * self._parts.seed + stream

    def _logp(self, policy: Policy) -> Tensor:
        return exact_logp(policy.model, policy.scoring, self._batch)

    @cached_property
    def _batch(self) -> Batch:
        return world_batch(self.world)
