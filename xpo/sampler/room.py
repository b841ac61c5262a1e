"""A cache that does not copy all that it holds for every token that comes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, with room for ``room`` positions behind what it was begun with.

    transformers' own layer is copied whole for every new token, which costs more than the token. Whoever
    changes ``keys`` (repeats, selects) is noticed: the room is made anew then.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._roomy: tuple[Tensor, Tensor] | None = None
        self._shown: Tensor | None = None  # the part of the first that is filled, as ``keys`` shows it

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        begin = self.get_seq_length()
        if begin == 0:
            return super().update(key_states, value_states, *args, **kwargs)
        end = begin + key_states.shape[-2]
        if self._roomy is None or self.keys is not self._shown or end > self._roomy[0].shape[-2]:
            self._roomy = _with_room(self.keys, end + self._room), _with_room(self.values, end + self._room)
        keys, values = self._roomy
        keys[:, :, begin:end], values[:, :, begin:end] = key_states, value_states
        self.keys, self.values = self._shown, _ = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


def _with_room(have_BHSD: Any, size: int) -> Tensor:
    made_BHSD = have_BHSD.new_empty(*have_BHSD.shape[:2], size, have_BHSD.shape[-1])
    made_BHSD[:, :, : have_BHSD.shape[-2]] = have_BHSD
    return made_BHSD


def roomy_cache(config: Any, room: int) -> DynamicCache:
    """An empty cache for a model of this config; layers that see a window keep transformers' own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
