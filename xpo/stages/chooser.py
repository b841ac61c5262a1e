"""Who says what is labelled next: the query of a run, told what is trained thinks of candidates."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xpo.contracts import Batch, Row
from xpo.data.loader import EvalLoader
from xpo.errors import UserError
from xpo.query.base import Told
from xpo.reference.prepared import Prepared
from xpo.run.progress import progress
from xpo.run.ranks import distributed, rank, rows_from_all_ranks
from xpo.scoring.parts import evaluating
from xpo.scoring.states import token_states
from xpo.stages.align import checked, module_of
from xpo.stages.alignment import Alignment
from xpo.stages.source import Policy, Rows


@dataclass(frozen=True)
class Chooser:
    """``chooser(candidates, labelled, number, reference)``: places of what a round labels, on every rank.

    Rows are read without labels. Nothing is learnt before the first round, whose places are drawn.
    """

    alignment: Alignment

    def __call__(
        self, candidates: Sequence[Row], labelled: Sequence[Row], number: int, reference: Prepared | None
    ) -> list[int]:
        c = self.alignment.setting.composition
        generator = torch.Generator().manual_seed(zlib.crc32(f"{c.seed}/query/{number}".encode()))
        if number == 1 or not c.query.reads_odds:
            places = c.query.drawn(len(candidates), generator)
        else:
            told = self._told([*candidates, *labelled], reference)
            places = c.query.choose(told[: len(candidates)], told[len(candidates) :], generator)
        return rows_from_all_ranks({rank(): places})[0] if distributed() else places

    def of_samples(
        self, earlier: Sequence[Row], number: int, reference: Prepared | None, rows: Sequence[Row]
    ) -> list[int]:
        """Of samples, which may be alike: nobody is asked to compare equal ones.

        ``earlier`` are labelled. Raises ``UserError`` for a budget of more than there are.
        """
        budget = self.alignment.setting.composition.query.budget
        if budget > len(rows):
            raise UserError(
                f"query.budget={budget} is more than the {len(rows)} prompts that are answered in a round: "
                f"set query.budget={len(rows)} or less, or have all labelled (query=all)"
            )
        found = {place: _distinct(row) for place, row in enumerate(rows)}
        places = [
            place for place, row in found.items() if len(row.responses) > 1 or len(rows[place].responses) < 2
        ]
        chosen = self([found[place] for place in places], earlier, number, reference)
        return [places[place] for place in chosen]

    @torch.no_grad()
    def _told(self, rows: Sequence[Row], reference: Prepared | None) -> list[Told]:
        """What is trained says of rows, at their places."""
        c = self.alignment.setting.composition
        assert reference is not None, "rounds that choose have a lasting one"
        alignment = checked(dataclasses.replace(self.alignment, rows=Rows(rows)))
        found: dict[int, Told] = {}
        module = module_of(alignment, reference, 1)
        collator = dataclasses.replace(alignment.collator(), whole=True)
        loader = EvalLoader(rows, alignment.sizes, collator)
        device = next(alignment.policy.model.parameters()).device
        with evaluating(module), c.trainer.autocast(device.type), progress(len(loader), "choosing") as bar:
            for batch in loader:
                batch = batch.to(device)
                odds_MBKK = module.log_odds(batch).cpu()
                feature_BKD = _last_states(alignment.policy, batch) if c.query.reads_features else None
                for b, index in enumerate(batch.index_B.tolist()):
                    size = len(rows[index].responses)
                    feature_KD = None if feature_BKD is None else feature_BKD[b, :size]
                    found[index] = Told(odds_MBKK[:, b, :size, :size], feature_KD)
                bar.advance()
        return [found[place] for place in range(len(rows))]


def _last_states(policy: Policy, batch: Batch) -> Tensor:
    """BKD: what stands behind each response."""
    return token_states(policy.scoring, policy.model, batch).last(batch).float().cpu()


def _distinct(row: Row) -> Row:
    """The row with each response once."""
    return dataclasses.replace(row, responses=list(dict.fromkeys(tuple(each) for each in row.responses)))
