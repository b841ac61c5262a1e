"""What is known of a rollout's tokens before it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from xpo.contracts import Movable, Row


@dataclass(frozen=True)
class Experience(Movable):
    """Tensors of N prompts, K samples and T tokens (nats), zeros where there is no token; no gradient.

    ``old_logp`` is the policy's as the rollout found it, by the run's own scoring pass. ``reward`` is what
    the tokens earned, penalties included, ``value`` and ``returns`` are a critic's and its targets.
    ``cost_advantage`` is of a constraint's costs, ``cost_value`` and ``cost_returns`` of its critic.
    """

    old_logp: Tensor
    ref_logp: Tensor
    advantage: Tensor
    reward: Tensor
    value: Tensor | None = None
    returns: Tensor | None = None
    cost_value: Tensor | None = None
    cost_returns: Tensor | None = None
    sampler_logp: Tensor | None = None

    def at(self, index_B: Tensor, responses: int, tokens: int) -> Experience:
        """Of some of the prompts, cut to a batch's K and T; of fillers (index -1) the first prompt's."""
        index_B = index_B.clamp(min=0)

        def cut(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[index_B, :responses, :tokens]

        return Experience(**{name: cut(value) for name, value in vars(self).items()})  # pyright: ignore

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Rollout:
    """Prompts with their samples as rows, and what is known of their tokens (None: rows say all)."""

    rows: list[Row]
    experience: Experience | None = None

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors, for a checkpoint that is read with ``weights_only``."""
        experience = None if self.experience is None else self.experience.state()
        return {"rows": [_plain(row) for row in self.rows], "experience": experience}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Rollout:
        """The rollout of a checkpoint."""
        experience = state["experience"]
        rows = [Row(**values) for values in state["rows"]]
        return cls(rows, None if experience is None else Experience(**experience))


def _plain(row: Row) -> dict[str, Any]:
    return {name: _lists(value) for name, value in vars(row).items() if value is not None}


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


def table(vectors: list[list[list[float]]]) -> Tensor:
    """N x K x T from ragged lists, zeros behind their ends."""
    size = max(len(response) for row in vectors for response in row)
    width = max(map(len, vectors))
    rows = [
        torch.stack([pad(torch.tensor(v, dtype=torch.float32), (0, size - len(v))) for v in row])
        for row in vectors
    ]
    return torch.stack([pad(row, (0, 0, 0, width - len(row))) for row in rows])
