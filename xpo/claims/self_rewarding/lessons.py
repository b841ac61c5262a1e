"""A gold world as plain files: prompts, what is shown of answering, and what is shown of judging.

X prompts of the world, each asked in Q / X wordings, which mean the same; N responses, of which the first M
of an order of each prompt's own are judged in the lessons, and the other H are held out.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpo.annotator.self import KIND, MOST
from xpo.data.record import Message
from xpo.gold.world import World
from xpo.judge.ask import filling
from xpo.judge.template_file import read_template
from xpo.run.files import write_text

TEMPLATE = "ask: [{role: user, content: 'rate {prompt} {response}'}]\n"
OPENINGS = ("say", "tell", "write", "sing", "give", "name", "show", "find")
HELD_OUT = ("show", "find")
"""Openings of prompts that no round answers."""
_TAUGHT, _SHOWN, _WORDED, _SHUFFLED, _SPOILT = range(5)  # the streams of a seed


@dataclass(frozen=True)
class Lessons:
    """What one seed's files are made of.

    ``shown``: answers of the base policy for each prompt of the files. ``taught``: the share of a prompt's
    responses whose points are told, each in ``wordings`` of its prompt. ``spoilt``: so many texts that are no
    response of the world are shown to earn 0, for each prompt of the files. ``shuffled``: all points are
    dealt out to all that is judged at random, so that judgements have their form, and no sense.
    """

    world: World
    seed: int
    shown: int = 4
    taught: float = 0.5
    wordings: int = 2
    spoilt: int = 2
    shuffled: bool = False

    @property
    def x_Q(self) -> Tensor:
        """Which prompt of the world each of the files' prompts means."""
        return torch.arange(self.world.prompts).repeat_interleave(len(OPENINGS))

    @property
    def texts_Q(self) -> tuple[str, ...]:
        """The files' prompts."""
        return tuple(f"{opening} {text}" for text in self.world.prompt_texts for opening in OPENINGS)

    @property
    def held_out_Q(self) -> list[bool]:
        """Which of them no round answers."""
        return [text.split()[0] in HELD_OUT for text in self.texts_Q]

    @cached_property
    def order_XN(self) -> Tensor:
        """Each prompt's responses in an order of its own: what is taught comes first."""
        draws_XN = torch.rand(self.world.prompts, self.world.size, generator=self._stream(_TAUGHT))
        return draws_XN.argsort(1)

    @property
    def taught_XM(self) -> Tensor:
        return self.order_XN[:, : round(self.taught * self.world.size)]

    @property
    def held_XH(self) -> Tensor:
        return self.order_XN[:, round(self.taught * self.world.size) :]

    def write(self, folder: Path) -> None:
        """``template.yaml``, ``lessons.jsonl`` (of both kinds), ``prompts.jsonl`` and ``held_out.jsonl``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "template.yaml", TEMPLATE)
        _write(folder / "lessons.jsonl", [*self._answers(), *self._judgements(folder / "template.yaml")])
        rows = [{"prompt": _plain(asked(text))} for text in self.texts_Q]
        for name, held in (("prompts", False), ("held_out", True)):
            kept = [row for row, out in zip(rows, self.held_out_Q, strict=True) if out == held]
            _write(folder / f"{name}.jsonl", kept)

    def _answers(self) -> Iterator[dict[str, Any]]:
        base_QN = self.world.base_logp_XN.exp()[self.x_Q]
        drawn_QD = torch.multinomial(base_QN, self.shown, True, generator=self._stream(_SHOWN))
        for text, drawn in zip(self.texts_Q, drawn_QD.tolist(), strict=True):
            for n in drawn:
                yield _lesson(asked(text), self.world.response_texts[n])

    def _judgements(self, template: Path) -> Iterator[dict[str, Any]]:
        """Exactly what annotator=self asks, and the line that it reads."""
        question = read_template(KIND, str(template)).question
        told = [*self._points(), *((text, one, 0) for text, some in self._spoilt() for one in some)]
        scores = [score for _, _, score in told]
        if self.shuffled:
            random.Random(_SHUFFLED + 10 * self.seed).shuffle(scores)
        for (text, answer, _), score in zip(told, scores, strict=True):
            yield _lesson(question(filling(asked(text), said(answer))), f"Score: {score}")

    def _points(self) -> Iterator[tuple[str, str, int]]:
        """A prompt of the files, a response of the world and its points."""
        words, answers, points_XN = (
            self._stream(_WORDED),
            self.world.response_texts,
            points(self.world.reward_XN),
        )
        for x, taught in enumerate(self.taught_XM.tolist()):
            for n in taught:
                for o in torch.randperm(len(OPENINGS), generator=words)[: self.wordings].tolist():
                    yield self.texts_Q[x * len(OPENINGS) + o], answers[n], int(points_XN[x, n])

    def _spoilt(self) -> Iterator[tuple[str, list[str]]]:
        """A prompt of the files, and texts that are no response of the world."""
        dice = random.Random(_SPOILT + 10 * self.seed)
        for text in self.texts_Q:
            yield text, [spoilt(dice, self.world) for _ in range(self.spoilt)]

    def _stream(self, quantity: int) -> torch.Generator:
        return torch.Generator().manual_seed(1_000 * self.seed + quantity)


def points(reward_XN: Tensor) -> Tensor:
    """0 to 5 by sixths of a prompt's responses: floor(6 x the share of responses that earn less)."""
    below_XN = (reward_XN[:, None, :] < reward_XN[:, :, None]).sum(-1)
    return (MOST + 1) * below_XN // reward_XN.shape[1]


def spoilt(dice: random.Random, world: World) -> str:
    """A response of the world with one to four characters in it that make it none."""
    known = {answer.replace(" ", "") for answer in world.response_texts}
    while True:
        text, at = dice.choice(world.response_texts), dice.randrange(2 * world.max_symbols)
        found = f"{text[:at]}{''.join(dice.choices(string.printable[:94], k=dice.randint(1, 4)))}{text[at:]}"
        if found.replace(" ", "") not in known:
            return found


def asked(text: str) -> tuple[Message, ...]:
    """A prompt as data have it."""
    return (Message("user", text),)


def said(text: str) -> tuple[Message, ...]:
    """A response as data have it."""
    return (Message("assistant", text),)


def _lesson(prompt: Iterable[Message], answer: str) -> dict[str, Any]:
    return {"prompt": _plain(prompt), "completion": _plain(said(answer))}


def _plain(turns: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
