"""What annotators need of saved models: refusals before one is loaded, hashes that are taken once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from xpo.data.counts import Counts
from xpo.errors import UserError
from xpo.reward_model.folder import Meaning
from xpo.reward_model.load import told
from xpo.reward_model.saved import SavedReward, load_reward
from xpo.run.say import say

Stamp = tuple[tuple[str, int, int], ...]


def scores_alone(path: str, key: str) -> Meaning | None:
    """What a local folder says of its numbers; ``UserError`` for a model of pairs. Nothing is loaded."""
    meaning = told(path, key)
    if meaning is not None:
        _check(of_pairs(meaning), False, f"{key}={path}")
    return meaning


def compares_pairs(path: str, key: str) -> None:
    """``UserError`` for a local folder that is no model of pairs. Nothing is loaded."""
    meaning = told(path, key)
    if meaning is not None:
        _check(of_pairs(meaning), True, f"{key}={path}")


def of_pairs(meaning: Meaning) -> bool:
    """Whether a folder gives log-odds of two responses, and no score of one."""
    from xpo import registry

    return bool(registry.component("reward_form", str(meaning.reward_form["name"])).of_pairs)


def load(path: str, key: str, pairs: bool) -> SavedReward:
    """A model of scores or of pairs. ``UserError`` for the other kind says which annotator takes it."""
    found = _load(path, key, stamp(path))
    _check(found.of_pairs, pairs, f"{key}={path}")
    return found


@lru_cache(maxsize=4)
def _load(path: str, key: str, files: Stamp) -> SavedReward:
    """A rollout's scorer is asked again and again: loaded once, until its files change."""
    return load_reward(path, key)


def _check(are: bool, wanted: bool, where: str) -> None:
    if are and not wanted:
        raise UserError(
            f"{where} is a model of pairs (reward_form=pairwise), which gives a single response no score: "
            "take annotator=preference_model"
        )
    if wanted and not are:
        raise UserError(
            f"{where} scores single responses (reward_form=pointwise) and does not compare two: take "
            "annotator=reward_model"
        )


def hash_of(path: str, key: str) -> str:
    """``SavedReward.fingerprint`` of a folder or hub name: loaded for it once, until its files change."""
    return _hash_of(path, key, stamp(path))


@lru_cache(maxsize=64)
def _hash_of(path: str, key: str, files: Stamp) -> str:
    return load_reward(path, key, device="cpu").fingerprint


def place(path: str) -> str:
    """A folder by its one full name, however it was spelt; a hub name as it is."""
    folder = Path(path).expanduser()
    return str(folder.resolve()) if folder.exists() else path


def stamp(path: str) -> Stamp:
    """Names, sizes and times of a folder's files; empty for a hub name."""
    folder = Path(path).expanduser()
    files = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def tell_cuts(models: Sequence[SavedReward], names: Sequence[str]) -> None:
    """Say which texts did not fit into a model's window; a token on the boundary is no cut."""
    for model, name in zip(models, names, strict=True):
        listed = cuts(model.reader.counts)
        if listed:
            say(f"{name}: texts longer than the model's window: {listed}")
        model.reader.counts.noted.clear()  # the model is kept, and asked about other rows


def cuts(counts: Counts) -> str:
    """``"prompt cut 3 times"``; empty where nothing was."""
    found = {what: number for what, number in counts.noted.items() if "cut" in what}
    return ", ".join(f"{what} {number} times" for what, number in sorted(found.items()))
