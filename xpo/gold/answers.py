"""Responses that a policy gives in the gold world, as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from xpo.data.prompts import Prompt, Prompts
from xpo.data.record import Record
from xpo.data.spoken import Spoken
from xpo.gold.labels import LabelModel
from xpo.gold.rows import draw
from xpo.gold.sampler import GoldSampler
from xpo.gold.world import World


@dataclass(frozen=True)
class Asked:
    """All prompts of the world, so many ``times`` each for training, and so many ``held_out``.

    ``given``: what stands beside answers is drawn from who demonstrates (``best``), or from the base policy
    times e^-reward (``worst``), by ``seed``.
    """

    times: int = 1
    held_out: int = 1
    given: str = "none"
    seed: int = 0

    def prompts(self, world: World, number: int, stream: int) -> list[Prompt]:
        """So many rounds of them."""
        shown_XM: Any = [[()] * number] * world.prompts
        if self.given != "none":
            law_XN = world.expert_logp_XN if self.given == "best" else world.base_logp_XN - world.reward_XN
            drawn = draw(world, law_XN.log_softmax(1), 1, number * world.prompts, 2 * self.seed + stream)
            shown_XM = [[(world.response_ids[n],) for n in row] for row in drawn[..., 0].tolist()]
        return [
            Prompt(tuple(ids), tuple(ids), Record(text, ()), shown_XM[x][m])
            for m in range(number)
            for x, (ids, text) in enumerate(zip(world.prompt_ids, world.prompt_texts, strict=True))
        ]


def prompts_of(world: World, model: LabelModel | None, asked: Asked) -> Prompts:
    """What is asked of the world's prompts.

    ``model`` is the world's own labeller, who is told the utilities of what was answered; None: another one
    labels, who is to find out.
    """
    node = {tuple(ids): n for n, ids in enumerate(world.response_ids)}
    place = {text: x for x, text in enumerate(world.prompt_texts)}
    model = None if model is None else model.in_world(world)
    utility_XN = None if model is None else model.utility_XN(world)

    def said(prompt: Prompt, responses: Sequence[Sequence[int]]) -> Record:
        nodes = [node[tuple(response)] for response in responses]
        texts = tuple(
            Spoken(f" {world.response_texts[n]}", ids) for n, ids in zip(nodes, responses, strict=True)
        )
        where = f"gold:{prompt.record.prompt}"
        if model is None or utility_XN is None:
            return Record(prompt.record.prompt, texts, where=where)
        x = place[str(prompt.record.prompt)]
        utility_K = utility_XN[x, nodes]
        margin_KK = model.margins(utility_K, world.class_XN[x, nodes])
        return Record(
            prompt.record.prompt,
            texts,
            scores=tuple(utility_K.tolist()),
            margins=tuple(map(tuple, margin_KK.tolist())),
            parts=tuple(_parts(world, utility_XN[x], n) for n in nodes),
            costs=tuple(world.cost_XN[x, nodes].tolist()),
            where=where,
        )

    train, test = (asked.prompts(world, n, i) for i, n in enumerate((asked.times, asked.held_out)))
    return Prompts(train, test, said, partial(_sampler, world), int(world.length_N.max()))


def _parts(world: World, utility_N: Tensor, n: int) -> tuple[tuple[int, float], ...]:
    """What each symbol of a response adds to the utility of what stands before it, and where it ends.

    All beginnings are responses themselves. Only what is said so far counts at a symbol, so that rewards to
    go credit each symbol with all that it changes; the sum is the whole response's utility.
    """
    symbols, place = world.responses[n], world.node
    end, before, found = 0, 0.0, []
    for i, word in enumerate(world.response_texts[n].split(), 1):
        end += 1 + len(word)
        value = float(utility_N[place[symbols[:i]]])
        found.append((end, value - before))
        before = value
    return tuple(found)


def _sampler(world: World, other: Any, weight: float) -> GoldSampler:
    return GoldSampler(world, other, weight)
