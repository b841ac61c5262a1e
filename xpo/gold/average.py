"""The mean of a run's policies at the ends of its rounds, exactly, in a game of the gold world.

Where a game's last iterates go in circles for ever, their mean may come to rest: it is measured beside them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from xpo.gold.game_metrics import duality_gap, exploitability
from xpo.run.files import OutputError, write_bytes
from xpo.run.state import ANEW

_KEY = "p_MXN"
_FIX = f"Put back the file that lay beside the run's checkpoints, or {ANEW}"


class Average:
    """M policies in the order of their rounds; each counts the same.

    The mean is of probabilities of responses: who plays it picks one of the policies, then a response.
    """

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def logp_XN(self) -> Tensor:
        """Of the mean. Raises ``ValueError`` where there is no policy yet."""
        if not self._kept:
            raise ValueError("the mean of no policies: add one first")
        return torch.stack(self._kept).mean(0).log()

    def add(self, logp_XN: Tensor, turn: int | None = None) -> None:
        """The policy at the end of the round ``turn``, from 1 (null: of the next).

        What is known of this round and of later ones goes: a round that was broken off and is run again
        counts once. Raises ``OutputError`` where an earlier round is missing.
        """
        turn = len(self) + 1 if turn is None else turn
        if not 1 <= turn <= len(self) + 1:
            raise OutputError(
                f"the average of policies holds {len(self)} rounds, and round {turn} has ended: those "
                f"between are missing. {_FIX}"
            )
        self._kept[turn - 1 :] = [logp_XN.double().exp()]

    def metrics(self, win_XNN: Tensor) -> dict[str, float]:
        """``gold/average/...``: exploitability and duality_gap of the mean, and of how many ``policies``."""
        return {
            "gold/average/exploitability": exploitability(win_XNN, self.logp_XN),
            "gold/average/duality_gap": duality_gap(win_XNN, self.logp_XN),
            "gold/average/policies": float(len(self)),
        }

    def save(self, path: Path) -> None:
        """To a safetensors file, at once or not at all."""
        from safetensors.torch import save

        write_bytes(path, save({_KEY: torch.stack(self._kept)}))

    @classmethod
    def load(cls, path: Path, like_XN: Tensor) -> Average:
        """From a file, if there is one. Raises ``OutputError`` for one that is not of policies like this."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        found = cls()
        if not path.exists():
            return found
        try:
            p_MXN = load(path.read_bytes())[_KEY]
        except (SafetensorError, KeyError):
            raise OutputError(f"{path} is damaged: it holds no policies. {_FIX}") from None
        if p_MXN.shape[1:] != like_XN.shape:
            raise OutputError(
                f"{path} holds policies of {list(p_MXN.shape[1:])} prompts and responses, and this run's "
                f"world has {list(like_XN.shape)}: it is another run's. {_FIX}"
            )
        found._kept = list(p_MXN)
        return found
