"""The gold world as a data option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from xpo.annotator.base import Desk
from xpo.gold import constants
from xpo.gold.game import RULES, Game, Name
from xpo.gold.game_refusals import game_refusal
from xpo.gold.prefixes import prefix_refusal, takes_apart
from xpo.gold.refusals import labels_refusal, pairs_refusal
from xpo.gold.sampled import rounds_refusal, said_refusal, sampling_refusal
from xpo.gold.source import GoldSource, draws_lists
from xpo.gold.world import World
from xpo.registry import register
from xpo.scoring.support import Support
from xpo.written import written

_ANSWERED, _HELD_OUT = 4_096, 512


@register("data", "gold")
@dataclass(frozen=True)
class Gold:
    """An enumerable world with a known reward (``xpo.gold``), its tokenizer and its base policy.

    ``mode=population`` trains on exact expectations over the run's reference; ``mode=sampled`` on ``records``
    drawn from it (null: 20,000) with sampled labels. Where the run samples, prompts are answered so often
    (null: 4,096; rollouts have no end). Lists cannot be enumerated, so where a row's responses
    matter together population mode too draws ``records`` lists (null: 4,096), with exact feedback.
    ``responses`` per drawn record: null is 1 for single labels (2 where another than the world's own labeller
    gives them, who may know no more than which is better), 2 for pairs, 4 for lists. ``seed`` is the world's.
    ``demonstrations`` of the base policy: null is its exact probabilities, else so many draws.
    ``game``: responses play against each other by their first symbols, and no reward says who wins
    (``xpo.gold.game``). ``symbols``: null is 6, in a game one for each class. ``exact_rounds``: where a run
    samples in rounds, each trains on exact expectations over the policy as it finds it, and nothing is drawn.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"gold rewards", "spans"})
    pretrains: ClassVar[bool] = True  # there are comparisons for a stage before

    mode: Literal["population", "sampled"] = "population"
    prompts: int = constants.PROMPTS
    symbols: int | None = None
    max_symbols: int = constants.MAX_SYMBOLS
    seed: int = constants.SEED
    records: int | None = None
    responses: int | None = None
    demonstrations: int | None = None
    game: Name | None = None
    exact_rounds: bool = False

    def __post_init__(self) -> None:
        most = self.world().size
        for name, highest in (("records", 10**7), ("responses", most), ("demonstrations", 10**7)):
            value = self.__dict__[name]
            if value is not None and not 1 <= value <= highest:
                raise ValueError(f"{name} must be null or 1 to {highest}, got {value}")

    @property
    def certain_labels(self) -> bool:
        """Whether who is preferred is drawn; else it is a probability."""
        return self.mode == "sampled"

    @property
    def support(self) -> Support:
        """The tokens that may stand in a response."""
        return self.world().support()

    def world(self) -> World:
        """The world itself."""
        if self.game is None:
            symbols = constants.SYMBOLS if self.symbols is None else self.symbols
            return World(self.prompts, symbols, self.max_symbols, self.seed)
        symbols = len(RULES[self.game].classes) if self.symbols is None else self.symbols
        return Game(self.prompts, symbols, self.max_symbols, self.seed, self.game)

    def answered(self) -> tuple[int, int]:
        """How often prompts are answered in all where rows are sampled before they are trained on."""
        number = self.records or _ANSWERED
        return number, min(number, _HELD_OUT)

    def open(self, parts: Any, desk: Desk) -> GoldSource:
        """The run's source of rows; ``parts`` is its composition, ``desk`` its annotator's."""
        return GoldSource(self, parts, desk)

    def _unread(self, online: bool) -> tuple[str, tuple[str, ...]] | None:
        """What says how rows are drawn, where none are."""
        unread = {"responses": None, "mode": "population"} | ({"records": None} if online else {})
        for name, unset in unread.items():
            if self.__dict__[name] != unset:
                text = f"data.{name}={self.__dict__[name]} is not read: sampling draws the responses."
                return text, (f"data.{name}={'null' if unset is None else unset}",)
        return None

    def refusal(self, parts: Any) -> tuple[str, tuple[str, ...]] | None:
        """Why this composition would not read what it is given, and what would; None if it does."""
        objection = None if self.game is None else game_refusal(parts, self._drawn_size(parts))
        if objection is not None:
            return objection
        if parts.query.chooses and (self.exact_rounds or not parts.sampling.samples):
            unread = self._chosen_refusal(parts)
            if unread is not None:
                return unread
        if self.exact_rounds:
            law = rounds_refusal(parts) or sampling_refusal(parts.sampling, self.max_symbols + 1)
            return law or self._rows_refusal(parts)
        if parts.sampling.samples:
            return (
                self._unread(parts.schedule.online)
                or sampling_refusal(parts.sampling, self.max_symbols + 1)
                or said_refusal(parts)
            )
        return self._rows_refusal(parts)

    def _chosen_refusal(self, parts: Any) -> tuple[str, tuple[str, ...]] | None:
        """Where labels are not drawn, so that none can be left out."""
        rounds = () if parts.schedule.rounds > 1 else ("schedule=iterative",)
        exact = {"exact_rounds": (True, "false"), "mode": ("population", "sampled")}
        for name, (value, other) in exact.items():
            if self.__dict__[name] == value:
                text = f"{parts.choice('query')} has some drawn responses labelled, and data.{name}="
                text += f"{written(value)} trains on exact expectations."
                return text, (*rounds, f"data.{name}={other}")
        return None

    def _rows_refusal(self, parts: Any) -> tuple[str, tuple[str, ...]] | None:
        least = parts.arity.sizes[0]
        if self.responses is not None and self.responses < least:
            text = (
                f"data.responses must be at least {least} for {parts.choice('arity')}, got {self.responses}."
            )
            return text, (f"data.responses={least}",)
        if takes_apart(parts):
            return prefix_refusal(self, parts) or labels_refusal(parts, False, None)
        if not parts.reward_level.ends and parts.arity.sizes != (2, 2):
            text = (
                f"with {parts.choice('reward_level')}, {parts.choice('feedback')} and "
                f"{parts.choice('reward')} the gold world draws pairs of steps, and {parts.choice('arity')} "
                "takes other rows."
            )
            return text, ("arity=pair",)
        if not parts.reward_level.ends and parts.feedback.contrasts:
            text = f"the gold world's demonstrations are whole responses: {parts.choice('feedback')} with "
            return text + f"{parts.choice('reward_level')} has no steps.", ("reward_level=response",)
        length = parts.length
        if not parts.reward_level.ends and (length.averages or length.has_offset or length.several):
            text = (
                f"a step of the gold world is one token, so with {parts.choice('reward_level')} "
                f"{parts.choice('length')} would change nothing."
            )
            return text, ("length=sum",)
        if parts.margin.positive_scores:
            text = (
                f"{parts.choice('margin')} takes the logarithm of scores, and gold rewards have either sign."
            )
            return text, ("margin=score",)
        unread = self._population_refusal(parts) if self.mode == "population" else None
        if unread is not None:
            return unread, ("data.mode=sampled",)
        sampled, lists = self.mode == "sampled", draws_lists(parts)
        drawn = sampled or (lists and parts.annotator.label_model is None)
        size = self.row_size(parts) if parts.reward_level.ends else 2
        unread = pairs_refusal(parts, drawn, size)
        return unread or labels_refusal(parts, sampled, self.row_size(parts) if sampled or lists else None)

    def _population_refusal(self, parts: Any) -> str | None:
        feedback, lists = parts.feedback, draws_lists(parts)
        given = [name for name in ("records", "responses") if self.__dict__[name] is not None]
        compared = "comparisons" in feedback.in_expectation
        read = parts.objective.needs | parts.sft.needs | parts.margin.needs | parts.anchor.needs
        if parts.weighting.by_row and not lists:
            return (
                f"data.mode=population trains on exact expectations, one row for each prompt, and "
                f"{parts.choice('weighting')} weighs rows of drawn responses."
            )
        if given and not lists:
            return (
                f"data.{given[0]} is not read: data.mode=population has every response of a prompt in one "
                "row. It is of use where rows are drawn."
            )
        if parts.schedule.chunks:
            return (
                f"data.mode=population has one row per prompt, and {parts.choice('schedule')} trains each "
                "round on other rows (schedule.rows=all repeats them)."
            )
        if parts.objective.hard_labels:
            return (
                f"data.mode=population trains on exact expectations, and {parts.choice('objective')} reads "
                "orders, which have to be drawn: the most likely one of each list has no finite optimum."
            )
        if read - feedback.in_expectation or (lists and not compared):
            return (
                f"data.mode=population trains on exact expectations, and {parts.choice('feedback')} with "
                f"{parts.choice('arity')} acts on drawn rows: it would change nothing."
            )
        if not lists and not compared and parts.arity.sizes[0] > 1:
            return (
                "data.mode=population has every response of a prompt in one row, and without comparisons "
                f"{parts.choice('arity')} would change nothing."
            )
        return None

    def _drawn_size(self, parts: Any) -> int | None:
        """Responses of a record whose labels are drawn; None where none are."""
        if parts.sampling.samples and not self.exact_rounds:
            sampling = parts.sampling
            return sampling.responses + sampling.rivals + (sampling.given != "none")
        if self.mode == "population":
            return None
        return self.row_size(parts) if parts.reward_level.ends else 2

    def row_size(self, parts: Any) -> int:
        """K of a drawn record."""
        if self.responses is not None:
            return self.responses
        if parts.arity.sizes[1] is None:
            return 4
        alone = parts.arity.sizes[1] == 1 and "comparisons" not in parts.feedback.gives
        return 1 if alone and parts.annotator.label_model is not None else 2

    def row_number(self) -> int:
        """How many records are drawn."""
        return self.records or (20_000 if self.mode == "sampled" else 4_096)
