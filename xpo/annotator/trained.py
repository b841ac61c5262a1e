"""A reward model that the run itself trains first."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record
from xpo.registry import register

SHARED = ("data", "model", "adapter", "sft", "seed", "cache")
"""What the reward model's run has in common with the one that it is trained for."""


DRAWN = (
    *("temperature", "top_k", "top_p", "min_new_tokens", "max_new_tokens", "stop", "prompt_template"),
    "tokens",
)
"""How responses are drawn that it compares: as the run does."""


@register("annotator", "trained")
@dataclass(frozen=True)
class Trained(Labeller):
    """Scores of a reward model that is trained before the policy is, on comparisons.

    Ouyang et al. 2022, arXiv 2203.02155, section 3.5: fine-tune, train a reward model, reinforce, in one run.
    ``algo`` is the preset that trains it, on the same data and from the same model after the same
    fine-tuning; ``overrides`` are its other settings, as on the command line, its annotator's among them.
    The comparisons are the data's own; where the preset samples, they are of responses that the fine-tuned
    model gives, as the run itself samples. Its run lies in ``reward_model/`` of this one's folder and is
    resumed and skipped as any run is; what it leaves labels as annotator=reward_model does.

    Bai et al. 2022, arXiv 2204.05862, section 4.5: before each round but the first ``refresh`` prompts are
    answered ``responses`` times by the policy as it has become and compared by whoever labels for the reward
    model (people: the run waits), and it is trained anew, in ``reward_model-00N/``, on all that is compared.
    Section 4.2: with ``held_out`` it learns half of the data's comparisons, another one the other half
    (``held_out_reward_model/``), and every evaluation tells what both say of the same samples.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores", "wins"})
    first: ClassVar[bool] = True  # something is trained before it can label

    algo: str = "reward_bt"
    overrides: tuple[str, ...] = ()
    refresh: int = 0
    responses: int = 2
    held_out: bool = False

    def __post_init__(self) -> None:
        if self.refresh < 0:
            raise ValueError(f"refresh must be at least 0 prompts, got {self.refresh}")
        if self.responses < 2:
            raise ValueError(f"responses must be at least 2, which are compared, got {self.responses}")
        if self.responses > 2 and not self.refresh:
            raise ValueError(f"responses={self.responses} is not read: refresh=0 answers no prompt")

    def before(self, parts: Any) -> Any:
        """The composition of the reward model's run, from this one's. Raises as a run would."""
        from xpo.compose import build

        return build(self._config(parts.config, [parts.choice("data"), parts.choice("model")]))

    def outer(self, changes: Sequence[str]) -> tuple[str, ...]:
        """What changes of its run are on the command line of the run that it labels for."""
        shared = [change for change in changes if change.split("=")[0].split(".")[0] in SHARED]
        own = {change.split("=")[0]: change for change in changes if change not in shared}
        kept = [override for override in self.overrides if override.split("=")[0] not in own]
        asked = json.dumps([*kept, *own.values()], separators=(",", ":"))
        return (*shared, *((f"annotator.overrides={asked}",) if own else ()))

    def _config(self, config: dict[str, Any], choices: Sequence[str]) -> dict[str, Any]:
        made = copy.deepcopy(_composed(f"algo={self.algo}", *choices, *self.overrides))
        changed = {override.split("=")[0].split(".")[0] for override in self.overrides}
        for key in SHARED:
            if key not in changed:
                made[key] = copy.deepcopy(config[key])
        own, mine = made["sampling"], config["sampling"]
        if own["name"] == mine["name"] and "sampling" not in changed:
            own.update({key: copy.deepcopy(mine[key]) for key in DRAWN if key in mine})
        return made

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        raise RuntimeError("the run trains it first, and labels with what was trained")


@lru_cache(maxsize=16)
def _composed(*overrides: str) -> dict[str, Any]:
    """Once: rules ask for it again and again, and composing takes its time."""
    from xpo.compose.compose import compose_config

    return compose_config([*overrides])
