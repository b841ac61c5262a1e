"""What holds tensors and goes to a device as one."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

from torch import Tensor


class Movable:
    """A dataclass of tensors that moves as one."""

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Like ``Tensor.to``, for everything in it."""

        def move(value: Any) -> Any:
            if isinstance(value, Tensor | Movable):
                return value.to(*args, **kwargs)
            return tuple(move(v) for v in value) if isinstance(value, tuple) else value

        return dataclasses.replace(self, **{name: move(value) for name, value in vars(self).items()})  # pyright: ignore
