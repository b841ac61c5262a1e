"""Where the rows of a run in the gold world come from, and what it is measured by."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xpo.annotator.base import Desk
from xpo.contracts import Batch, Row
from xpo.data.build import check_rows
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.pool import Pool
from xpo.data.prompts import Prompts
from xpo.data.record import Record
from xpo.gold import rows as build
from xpo.gold import verdicts
from xpo.gold.answers import Asked, prompts_of
from xpo.gold.drawn import labelled_rows, pool_of
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.labels import PLAIN, LabelModel, Labels
from xpo.gold.prefixes import prefix_rows, takes_apart
from xpo.gold.ruler import Labelling, Ruler
from xpo.gold.steps import Steps
from xpo.gold.target import has_target
from xpo.gold.world import World
from xpo.stages.source import Policy, Rows

if TYPE_CHECKING:
    from xpo.data.gold import Gold

_HELD_OUT = 512  # drawn records, where as many train


def draws_lists(parts: Any) -> bool:
    """Whether a row's responses matter together, so that one row of all of them would be another method."""
    return parts.arity.sizes[1] is None or parts.length.several or parts.objective.listwise


class GoldSource:
    """Rows of one run; ``parts`` is its composition. Implements ``xpo.stages.source.Source``."""

    def __init__(self, option: Gold, parts: Any, desk: Desk) -> None:
        self._option, self._parts, self._desk = option, parts, desk
        self.renews = option.exact_rounds
        # the base policy is there for a policy with random weights; a trained one asks for it by a number
        self.demonstrations_given = option.demonstrations is not None
        self.world: World = option.world()
        self.tokenizer = self.world.tokenizer()
        self.support = self.world.support()
        self._counts: dict[str, Counts] = {}
        self._known: tuple[Tensor, Labels] | None = None  # what another labeller said, for which reference

    def texts(self) -> Iterable[str]:
        """Prompts and responses; the world brings its tokenizer, so nobody has to train one on them."""
        return (*self.world.prompt_texts, *self.world.response_texts)

    def tokenize(self, tokenizer: Any, window: int) -> None:
        """Nothing to do but to check the window: rows are made of the world's own tokens."""
        reward, longest = self._parts.reward, int(self.world.length_N.max())
        if reward.trains_head and reward.together:
            longest = 2 * longest + 1
        longest += max(map(len, self.world.prompt_ids))
        if window < longest:
            raise DataError(
                f"the gold world's rows are {longest} tokens long, the model's window is {window}; set "
                f"model.max_length={longest} or more, or a lower data.max_symbols"
            )

    def demonstrations(self) -> Rows:
        """The base policy to imitate: its exact probabilities, or as many draws as the option says."""
        number = self._option.demonstrations
        exact = build.demonstration_rows(self.world)
        if number is None:
            return Rows(exact, exact, population=True)
        drawn = build.draw(self.world, self.world.base_logp_XN, 1, number, self._seed("train"))
        return Rows(build.imitation_rows(self.world, drawn[..., 0]), exact)

    def pretraining(self) -> Rows:
        """Comparisons of responses that are drawn evenly, by a labeller who knows the reward."""
        even_XN = torch.full_like(self.world.base_logp_XN, -math.log(self.world.size))
        if self._option.mode == "population" and not draws_lists(self._parts):
            wanted = build.Wanted(frozenset({"comparisons", "demonstrations"}))
            return self._population(build.population_rows(self.world, even_XN, wanted))
        size, count = max(2, self._option.row_size(self._parts)), self._option.row_number()
        drawn_XMK = build.draw(self.world, even_XN, size, count, 2**21 + self._seed("train"))
        return Rows(build.list_rows(self.world, drawn_XMK))

    def rows(self, start: Policy, needs: frozenset[str]) -> Rows:
        """Rows for alignment; the policy that it starts from is the reference and has drawn the responses."""
        if not self._parts.feedback.gives & {"comparisons", "labels", "scores"}:
            return self.demonstrations()
        self._desk = dataclasses.replace(self._desk, policy=start)
        ref_logp_XN = self._logp(start)
        if takes_apart(self._parts):
            return self._population(prefix_rows(self.world, ref_logp_XN, self._labels(ref_logp_XN)))
        if self._draws:
            return Rows(self._sampled(ref_logp_XN, "train", needs), self._sampled(ref_logp_XN, "test", needs))
        if not self._parts.reward_level.ends:
            asked = None if self._model is not None else self._asked
            splits_ties = self._parts.feedback.splits_ties
            return self._population(self._steps(ref_logp_XN).rows(asked, splits_ties))
        if draws_lists(self._parts):
            return Rows(self._lists(ref_logp_XN, "train"), self._lists(ref_logp_XN, "test"))
        if self._parts.feedback.contrasts:
            return self._population(build.contrast_rows(self.world, ref_logp_XN))
        wanted = build.Wanted(needs, self._from_pairs, self._parts.feedback.splits_ties)
        rows = build.population_rows(self.world, ref_logp_XN, wanted, self._labels(ref_logp_XN))
        if len(rows) < self.world.prompts:
            counts = self._counts["train"] = Counts(read=self.world.prompts, kept=len(rows))
            counts.drop("no two responses told apart", self.world.prompts - len(rows))
        mismatched = self._parts.objective.statistic_rows == "mismatched"
        probes = build.probe_rows(self.world, ref_logp_XN) if mismatched else None
        return self._population(rows, probes)

    def pool(self, start: Policy, needs: frozenset[str]) -> Pool:
        """Drawn responses, whose labels are drawn as they are asked for."""
        desk, ref_logp_XN = dataclasses.replace(self._desk, policy=start), self._logp(start)
        train, test = (self._records(ref_logp_XN, split) for split in ("train", "test"))
        return pool_of(train, test, self._parts, self.tokenizer, desk)

    def prompts(self, start: Policy, sampling: Any) -> Prompts:
        """All of the world's, each answered as often as there are records; responses are drawn exactly.

        Rollouts come back to the same prompts of themselves.
        """
        times, held_out = (-(-number // self.world.prompts) for number in self._option.answered())
        if self._parts.schedule.online:
            times, held_out = (1 if sampling.given == "none" else times), 1
        return prompts_of(self.world, self._model, Asked(times, held_out, sampling.given, self._parts.seed))

    def measure(self, start: Policy) -> Ruler:
        """Exact metrics of a model against ``start``."""
        self._desk = dataclasses.replace(self._desk, policy=start)
        ref_logp_XN = self._logp(start)
        certain = self._draws and self._model is not None and self._model.exact  # no draw of its labels
        known = not certain and (self._model is not None or (not self._draws and has_target(self._parts)))
        drawn = self._draws or (self._parts.sampling.samples and not self.renews)
        labelling = Labelling(self._labels(ref_logp_XN) if known else None, drawn)
        return Ruler(self.world, start.scoring, ref_logp_XN, self._parts, labelling)

    def fingerprint(self) -> str:
        """A hash of the world and of what is asked of it: what all methods on the same data share."""
        annotator = self._parts.annotator.fingerprint(self._desk)
        return hashlib.sha256(f"({self._option!r}, {annotator})".encode()).hexdigest()

    def counts(self) -> Mapping[str, Any]:
        """Rows kept and dropped, by split and reason (known after ``rows``)."""
        return {split: tally.as_dict() for split, tally in self._counts.items()}

    @property
    def _from_pairs(self) -> bool:
        return self._parts.feedback.labels_from_pairs

    @property
    def _model(self) -> LabelModel | None:
        """The world's own labeller, if it is the one that labels."""
        return self._parts.annotator.label_model

    @property
    def _draws(self) -> bool:
        """Whether labels are drawn. Others' verdicts on lists are what they are: they have no expectation."""
        lists = self._model is None and draws_lists(self._parts)
        return self._option.mode == "sampled" or lists

    def _labels(self, ref_logp_XN: Tensor) -> Labels:
        """What is said of every response."""
        if self._model is not None:
            return self._model.of_world(self.world, ref_logp_XN)
        if self._known is None or not torch.equal(self._known[0], ref_logp_XN):
            judged_XN = None if self._from_pairs else ref_logp_XN.exp()
            self._known = ref_logp_XN, self._asked(range(self.world.size), judged_XN)
        return self._known[1]

    def _asked(self, nodes: Sequence[int], judged_XN: Tensor | None = None) -> Labels:
        records = verdicts.whole_lists(self.world, nodes)
        labelled = self._parts.annotator(records, self._desk)
        return verdicts.labels_of(labelled, self._parts.feedback, judged_XN)

    def _population(self, rows: list[Row], probes: list[Row] | None = None) -> Rows:
        if not rows:
            name = type(self._parts.annotator).__name__
            raise DataError(f"no row is left: {name} tells no two responses of any prompt apart")
        return Rows(rows, rows, probes, population=True)

    def _sampled(self, ref_logp_XN: Tensor, split: str, needs: frozenset[str]) -> list[Row]:
        """Drawn responses with drawn labels, through the same components as any other data."""
        drawn = self._records(ref_logp_XN, split)
        rows, counts = labelled_rows(drawn, self._parts, self.tokenizer, self._desk)
        self._counts[split] = counts
        if split == "train":  # a few held-out rows may all be ties
            check_rows(split, rows, counts, needs)
        return rows

    def _steps(self, ref_logp_XN: Tensor) -> Steps:
        return Steps.of(self.world, ref_logp_XN, self._model or PLAIN)

    def _records(self, ref_logp_XN: Tensor, split: str) -> list[Record]:
        count = self._number(split)
        if not self._parts.reward_level.ends:
            return self._steps(ref_logp_XN).records(count, self._seed(split))
        drawn_XMK = self._drawn(ref_logp_XN, split)
        if not self._parts.feedback.contrasts:
            return build.records(self.world, drawn_XMK, self._model or PLAIN)
        seed = 2**20 + self._seed(split)  # the demonstrations' own stream
        shown_XM1 = build.draw(self.world, self.world.expert_logp_XN, 1, count, seed)
        return build.contrast_records(self.world, shown_XM1, drawn_XMK[..., 1:])

    def _lists(self, ref_logp_XN: Tensor, split: str) -> list[Row]:
        drawn_XMK, splits_ties = self._drawn(ref_logp_XN, split), self._parts.feedback.splits_ties
        return build.list_rows(self.world, drawn_XMK, self._model or PLAIN, splits_ties)

    def _drawn(self, ref_logp_XN: Tensor, split: str) -> Tensor:
        size = self._option.row_size(self._parts)
        return build.draw(self.world, ref_logp_XN, size, self._number(split), self._seed(split))

    def _number(self, split: str) -> int:
        number = self._option.row_number()
        return number if split == "train" else min(number, _HELD_OUT)

    def _seed(self, split: str) -> int:
        return 2 * self._parts.seed + (split == "test")

    def _logp(self, policy: Policy) -> Tensor:
        return exact_logp(policy.model, policy.scoring, self._batch)

    @cached_property
    def _batch(self) -> Batch:
        return world_batch(self.world)
