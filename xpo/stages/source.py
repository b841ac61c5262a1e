"""Where a run's rows come from: what a ``data`` option opens, whether files or the gold world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xpo.contracts import Row
from xpo.data.pool import Pool
from xpo.data.prompts import Prompts
from xpo.data.truncate import Limits
from xpo.run import samples
from xpo.scoring.support import Support


@dataclass(frozen=True)
class Policy(samples.Policy):
    """``trained``: its weights are no random ones, so that it can be a reference to measure against."""

    trained: bool = True


@dataclass(frozen=True)
class Rows:
    """Training rows and, where the data know them exactly, the rows of the whole-step statistic.

    ``population``: the rows are a whole population with exact masses; every optimizer step takes all of
    them. ``probes`` is None where mismatched rows are drawn from the rows themselves, within ``limits``.
    ``why``: where there is no training row, the reason, for a person.
    """

    train: Sequence[Row]
    test: Sequence[Row] = ()
    probes: Sequence[Row] | None = None
    population: bool = False
    limits: Limits = Limits()
    why: str = ""


class Measure(Protocol):
    """A model to metrics that only the data can give, such as the gold world's exact ones.

    ``decoded``: what scores its responses as they are drawn, where that is not its own distribution.
    ``judge``: the head of a reward model, which is measured then, and not the policy below it.
    """

    def __call__(self, model: Any, decoded: Any = None, judge: Any = None) -> Mapping[str, float]: ...

    def mark(self, model: Any, path: Path, turn: int | None = None) -> dict[str, float]:
        """Metrics of policies at the ends of rounds together, kept in ``path``; ``turn`` has just ended."""
        ...


class Source(Protocol):
    """Rows, before and after a tokenizer is known. ``open`` of a data option gives one."""

    tokenizer: Any | None  # one that the data bring, else None
    support: Support | None  # a restriction of responses, else None
    demonstrations_given: bool  # demonstrations have a source of their own
    renews: bool  # ``rows`` are samples of the policy that they are asked for, and anew in each round

    def texts(self) -> Iterable[str]:
        """All training text, to train a tokenizer on."""
        ...

    def tokenize(self, tokenizer: Any, window: int) -> None:
        """Make rows; called once, before any of the methods below."""
        ...

    def demonstrations(self) -> Rows:
        """Rows for an SFT stage."""
        ...

    def pretraining(self) -> Rows:
        """Comparisons for a stage before alignment; called after ``rows``."""
        ...

    def rows(self, start: Policy, needs: frozenset[str]) -> Rows:
        """Rows for alignment. ``start`` is the policy as alignment finds it."""
        ...

    def pool(self, start: Policy, needs: frozenset[str]) -> Pool:
        """In the place of ``rows``, where a run chooses what is labelled."""
        ...

    def prompts(self, start: Policy, sampling: Any) -> Prompts:
        """What is to be answered by ``start`` as it trains, where responses are sampled."""
        ...

    def measure(self, start: Policy) -> Measure | None:
        """Exact metrics of a policy against ``start``; None where the data know none."""
        ...

    def fingerprint(self) -> str:
        """A hash of everything that the rows are made from."""
        ...

    def counts(self) -> Mapping[str, Any]:
        """Rows kept and dropped, by split and reason."""
        ...
