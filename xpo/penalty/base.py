"""What penalties declare."""

from __future__ import annotations

from typing import ClassVar


class Penalty:
    """One of two: in the reward (``terms``), or in the loss (``loss``). Neither holds the factor beta."""

    applies: ClassVar[bool] = True  # False: the divergence acts nowhere
    in_reward: ClassVar[bool] = False
    per_token: ClassVar[bool] = False  # the divergences of the next token, not of whole responses
    in_loss: ClassVar[bool] = False
    adapts: ClassVar[bool] = False  # the factor beta follows what is measured
    linear_only: ClassVar[bool] = False  # means something for divergences with a linear link only

    @property
    def notes(self) -> tuple[str, ...]:
        """What its settings do that its text does not say by itself."""
        return ()
