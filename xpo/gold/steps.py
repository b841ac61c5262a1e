"""Steps of the gold world: after some symbols of a response, which symbol comes next.

A node is a response's symbols without the end; its value is the labeller's expected utility of what the
reference goes on to say, V(node) = E_ref[u | the response begins with node]; the plain labeller's utility is
the reward. Going on is given: the end is no step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Row
from xpo.data.record import Record
from xpo.gold.labels import PLAIN, LabelModel, Labels
from xpo.gold.rows import array
from xpo.gold.world import World


@dataclass(frozen=True)
class Steps:
    """``mass_XN`` and ``value_XN`` of every node (nodes stand in the order of ``World.responses``).

    ``model`` is the labeller whose utility the values are of.
    """

    world: World
    mass_XN: Tensor
    value_XN: Tensor
    model: LabelModel = PLAIN

    @classmethod
    def of(cls, world: World, ref_logp_XN: Tensor, model: LabelModel = PLAIN) -> Steps:
        below_NN = torch.tensor(
            [[float(y[: len(node)] == node) for y in world.responses] for node in world.responses],
            dtype=torch.float64,
        )
        ref_XN = ref_logp_XN.double().exp()
        mass_XN = ref_XN @ below_NN.T
        value_XN = (ref_XN * model.utility_XN(world)) @ below_NN.T / mass_XN
        return cls(world, mass_XN, value_XN, model.in_world(world))

    def siblings(self) -> dict[tuple[int, ...], list[int]]:
        """Prefix -> the nodes that go on from it by one symbol."""
        found: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for n, node in enumerate(self.world.responses):
            found[node[:-1]].append(n)
        return dict(found)

    def labels(self, nodes: Sequence[int]) -> Labels:
        """What the world's own labeller says of these next symbols, for every prompt."""
        return self.model.labels(self.value_XN[:, nodes], self.world.class_XN[:, nodes])

    def rows(
        self, labels_of: Callable[[Sequence[int]], Labels] | None = None, splits_ties: bool = False
    ) -> list[Row]:
        """One row for each prompt and prefix: all next symbols, prefer = ref_a ref_b P(a leads further).

        ``weight`` is the reference's probability of coming there. ``labels_of`` nodes: another's labels than
        the world's own. Where all symbols tie there is no row.
        """
        labels_of = self.labels if labels_of is None else labels_of
        rows = []
        for prefix, nodes in self.siblings().items():
            mass_XA, labels = self.mass_XN[:, nodes], labels_of(nodes)
            reach_X = mass_XA.sum(1)
            share_XA = mass_XA / reach_X[:, None]
            prefer_XAA = share_XA[:, :, None] * share_XA[:, None, :] * labels.compared_KK(splits_ties)
            total_X = prefer_XAA.sum((1, 2))
            prefer_XAA = prefer_XAA / total_X[:, None, None]
            rows += [
                Row(
                    prompt,
                    [self.world.response_ids[n][:-1] for n in nodes],
                    prefer=array(prefer_XAA[x]),
                    good=array(prefer_XAA[x].sum(1) / 2),
                    bad=array(prefer_XAA[x].sum(0) / 2),
                    demo=array(prefer_XAA[x].sum(1)),
                    scores=array(labels.score_K[x]),
                    wins=array(labels.win_KK[x]),
                    margins=None if labels.margin_KK is None else _lists(labels.margin_KK[x]),
                    skip=len(prefix),
                    weight=float(reach_X[x]),
                    source=f"gold:step {len(prefix) + 1} of {self.world.prompt_texts[x]}",
                )
                for x, prompt in enumerate(self.world.prompt_ids)
                if total_X[x] > 0
            ]
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
                value_2 = self.value_XN[x, drawn]
                records.append(
                    Record(
                        prompt=prompt,
                        responses=tuple(f" {self.world.response_texts[n]}" for n in drawn),
                        scores=tuple(value_2.tolist()),
                        margins=_lists(self.model.margins(value_2, self.world.class_XN[x, drawn])),
                        where=f"gold:step {len(records) + 1}",
                    )
                )
        return records


def _lists(values_KK: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, values_KK.tolist()))
