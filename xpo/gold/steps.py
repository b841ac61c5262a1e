"""Steps of the gold world: after some symbols of a response, which symbol comes next.

A node is a response's symbols without the end; its value is the expected reward of what the reference goes
on to say, V(node) = E_ref[r | the response begins with node]. Going on is given: the end is no step.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Row
from xpo.data.record import Record
from xpo.gold.rows import differences, label_probability
from xpo.gold.world import World


@dataclass(frozen=True)
class Steps:
    """``mass_XN`` and ``value_XN`` of every node (nodes stand in the order of ``World.responses``)."""

    world: World
    mass_XN: Tensor
    value_XN: Tensor

    @classmethod
    def of(cls, world: World, ref_logp_XN: Tensor) -> Steps:
        below_NN = torch.tensor(
            [[float(y[: len(node)] == node) for y in world.responses] for node in world.responses],
            dtype=torch.float64,
        )
        ref_XN = ref_logp_XN.double().exp()
        mass_XN = ref_XN @ below_NN.T
        return cls(world, mass_XN, (ref_XN * world.reward_XN) @ below_NN.T / mass_XN)

    def siblings(self) -> dict[tuple[int, ...], list[int]]:
        """Prefix -> the nodes that go on from it by one symbol."""
        found: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for n, node in enumerate(self.world.responses):
            found[node[:-1]].append(n)
        return dict(found)

    def rows(self, noise: float) -> list[Row]:
        """One row for each prompt and prefix: all next symbols, prefer = ref_a ref_b P(a leads further).

        ``weight`` is the reference's probability of coming there; P = sigmoid(V_a - V_b), flipped by noise.
        """
        rows = []
        for prefix, nodes in self.siblings().items():
            mass_XA, value_XA = self.mass_XN[:, nodes], self.value_XN[:, nodes]
            reach_X = mass_XA.sum(1)
            share_XA = mass_XA / reach_X[:, None]
            win_XAA = torch.sigmoid(value_XA[:, :, None] - value_XA[:, None, :])
            prefer_XAA = share_XA[:, :, None] * share_XA[:, None, :] * label_probability(win_XAA, noise)
            prefer_XAA /= prefer_XAA.sum((1, 2), keepdim=True)
            demo_XA = prefer_XAA.sum(2)
            for x, prompt in enumerate(self.world.prompt_ids):
                rows.append(
                    Row(
                        prompt,
                        [self.world.response_ids[n][:-1] for n in nodes],
                        prefer=prefer_XAA[x].numpy(),  # pyright: ignore[reportArgumentType]
                        good=tuple((demo_XA[x] / 2).tolist()),
                        bad=tuple((prefer_XAA[x].sum(0) / 2).tolist()),
                        demo=tuple(demo_XA[x].tolist()),
                        scores=tuple(value_XA[x].tolist()),
                        wins=win_XAA[x].numpy(),  # pyright: ignore[reportArgumentType]
                        margins=differences(value_XA[x].tolist()),
                        skip=len(prefix),
                        weight=float(reach_X[x]),
                        source=f"gold:step {len(prefix) + 1} of {self.world.prompt_texts[x]}",
                    )
                )
        return rows

    def records(self, count: int, seed: int) -> list[Record]:
        """Drawn pairs of next symbols behind drawn prefixes, their values as scores; prompts take turns."""
        generator = torch.Generator().manual_seed(seed)
        families = list(self.siblings().values())
        reach_XF = torch.stack([self.mass_XN[:, nodes].sum(1) for nodes in families], 1)
        rounds = -(-count // self.world.prompts)
        records = []
        for x, prompt in enumerate(self.world.prompt_texts):
            for family in torch.multinomial(reach_XF[x], rounds, True, generator=generator).tolist():
                nodes = families[family]
                pair = torch.multinomial(self.mass_XN[x, nodes], 2, generator=generator).tolist()
                drawn = [nodes[a] for a in pair]
                records.append(
                    Record(
                        prompt=prompt,
                        responses=tuple(f" {self.world.response_texts[n]}" for n in drawn),
                        scores=tuple(self.value_XN[x, drawn].tolist()),
                        margins=differences(self.value_XN[x, drawn].tolist()),
                        where=f"gold:step {len(records) + 1}",
                    )
                )
        return records
