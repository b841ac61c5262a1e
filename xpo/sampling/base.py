"""What options that sample have in common: how responses are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from xpo.judge.address import checked_url
from xpo.sampler.base import Draw


@dataclass(frozen=True)
class Sampled:
    """``responses`` are drawn for each prompt, of at most ``max_new_tokens`` tokens each.

    ``temperature`` divides the logits, where the policy is scored too: what is trained is what is sampled.
    ``top_k`` (null: all) and ``top_p`` cut the distribution for drawing alone. A response ends at EOS or
    behind one of ``stop``; one that does not is worth ``missing_eos`` less. ``prompt_template`` is what the
    policy is shown in the place of the prompt, such as "Answer with care. {prompt}"; what is trained on keeps
    the prompt (null: the same). ``tokens``: positions of a batch that is drawn at once.
    ``server`` is a running vLLM's address, which serves its model as ``served`` and reads its weights from
    ``server_folder``; null: this process draws.
    ``given``: a response of the data that stands beside the samples in rows: the ``best`` one of the prompt's
    (its demonstration), or the ``worst``.
    """

    samples: ClassVar[bool] = True
    weight: ClassVar[float] = 0.0  # of the reference, beside the policy
    by_order: ClassVar[bool] = False  # which responses stay depends on the order of a prompt's alone
    by_round: ClassVar[str] = ""  # its key that holds a value for each round
    resample: ClassVar[int] = 0  # times that others take the place of prompts whose samples are alike
    rivals: ClassVar[int] = 0  # responses of another player beside the policy's
    mix: ClassVar[float] = 0.0  # of the reference in that player
    average: ClassVar[float | None] = None  # how slowly that player follows the policy; None: at once
    converses: ClassVar[bool] = False  # who answers is told something in words
    rates: ClassVar[frozenset[str]] = frozenset()  # what is said of samples in the annotator's place
    reads: ClassVar[tuple[tuple[str, str], ...]] = ()  # key and path of saved models beside the policy
    idle: ClassVar[tuple[str, ...]] = ()  # keys that change nothing as the others are

    responses: int = 8
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_new_tokens: int = 0
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    missing_eos: float = 0.0
    prompt_template: str | None = None
    tokens: int = 65_536
    server: str | None = None
    served: str = "policy"
    server_folder: str | None = None
    given: Literal["none", "best", "worst"] = "none"

    def __post_init__(self) -> None:
        assert self.draw is not None, "raises for values out of range"
        self._check_server()
        if not 0 <= self.missing_eos < float("inf"):
            raise ValueError(f"missing_eos must be at least 0 and finite, got {self.missing_eos}")
        if self.prompt_template is not None and "{prompt}" not in self.prompt_template:
            raise ValueError(f"prompt_template must hold {{prompt}}, got {self.prompt_template!r}")

    def _check_server(self) -> None:
        if self.server is not None:
            try:
                checked_url(self.server)
            except ValueError as error:
                raise ValueError(f"server: {error}") from None
            return
        if self.server_folder is not None:
            raise ValueError(f"server_folder={self.server_folder} is not read: server is null")
        if self.served != "policy":
            raise ValueError(f"served={self.served} is not read: server is null")

    @property
    def draw(self) -> Draw:
        """How an engine draws."""
        return Draw(
            responses=self.responses,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_new_tokens=self.min_new_tokens,
            max_new_tokens=self.max_new_tokens,
            stop=self.stop,
            tokens=self.tokens,
        )

    @property
    def kept(self) -> int:
        """How many of a prompt's responses are trained on."""
        return self.responses

    def choose(
        self, values: Sequence[Sequence[float]], generator: torch.Generator, turn: int
    ) -> list[list[int]]:
        """Which responses of each prompt are trained on, by what they are worth, in the round ``turn``."""
        return [list(range(len(scores))) for scores in values]
