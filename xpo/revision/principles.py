"""A stage that makes demonstrations: answers, criticised and revised by written principles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from xpo.judge.demonstrations import Request
from xpo.judge.revise import KIND, Recipe
from xpo.judge.template_file import read_template
from xpo.registry import register


@register("revision", "principles")
@dataclass(frozen=True)
class Principles:
    """Before anything is fine-tuned, an annotator with principles answers, criticises and revises.

    Constitutional AI's supervised part: Bai et al. 2022, arXiv 2212.08073, section 3.1. The run's annotator
    is asked, or the one who labels for the reward model that the run trains first. ``start=model``: its own
    answer to each training prompt, ``data``: each response of the data. ``rounds`` of critique and revision
    follow, each under a principle drawn by ``seed`` and content, with answers of at most ``max_new_tokens``
    at ``temperature``. The last revisions are the run's demonstrations (``revisions.jsonl`` in its folder).
    ``template``: ``anthropic`` or a file; ``exemplars``: JSON lines of its columns. The stage is what
    ``xpo revise`` does, and shares its store: nothing finished is asked for again. Differs from the paper:
    the answers are the annotator's, which there is the policy before it is trained, and no helpful answers
    are mixed in. Raises ``ValueError`` for what is out of range, and for files that cannot be used.
    """

    applies: ClassVar[bool] = True

    start: Literal["model", "data"] = "model"
    rounds: int = 4
    max_new_tokens: int = 256
    temperature: float = 1.0
    seed: int = 0
    template: str = "anthropic"
    exemplars: str | None = None

    def __post_init__(self) -> None:
        assert self.request, "raises for what cannot be used"

    @property
    def request(self) -> Request:
        """What is asked for."""
        recipe = Recipe(self.rounds, self.max_new_tokens, self.temperature, self.seed)
        template = read_template(KIND, self.template, self.exemplars, thinking=True)
        return Request(template, recipe, own=self.start == "model")
