"""What a run with rewards of tokens leaves: ``token_rewards.jsonl`` and ``.html``, and ``reference/``."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from xpo.contracts import Batch, Row
from xpo.data.loader import EvalLoader
from xpo.reference.cache import ReferenceCache
from xpo.reference.prepared import Prepared
from xpo.run.export import whole_folder
from xpo.run.heat_map import write_heat_map
from xpo.run.pieces import pieces
from xpo.run.progress import progress
from xpo.run.ranks import rank
from xpo.run.token_rewards import Judged, Token, write_token_rewards
from xpo.scorer.implicit import REFERENCE, ImplicitReward

if TYPE_CHECKING:
    from xpo.module.off_policy import OffPolicyModule
    from xpo.stages.alignment import Alignment

PAGE_ROWS = 24
"""Rows on the page, the first ones; the file has all."""


def wanted(alignment: Alignment) -> bool:
    """Whether this process leaves anything."""
    composition = alignment.setting.composition
    log_ratios = composition.objective.reads_reward and not composition.reward.trains_head
    own = log_ratios and not composition.objective.credits_tokens  # a reward of tokens
    return own and composition.reward_level.per_token and alignment.turn.last and rank() == 0


def keep_reference(alignment: Alignment, reference: Prepared) -> None:
    """``reference/``: a whole model as a Hugging Face folder, for those who score with the run later.

    Call it while the reference can still be had: before the first update, or, if it moves, after the last.
    """
    if reference.host is None or not wanted(alignment):
        return
    bare = alignment.setting.composition.reference.needs_adapter
    with reference.host() as model:
        whole = _without_adapter(model, bare)

        def write(folder: Any) -> None:
            whole.save_pretrained(folder)
            alignment.policy.tokenizer.save_pretrained(folder)

        whole_folder(alignment.setting.out / REFERENCE, write)


def _without_adapter(model: Any, bare: bool) -> Any:
    """A plain model; of an adapted one a copy, the adapter merged or, if ``bare``, left away."""
    if not hasattr(model, "merge_and_unload"):
        return model
    own = copy.deepcopy(model)
    return own.unload() if bare else own.merge_and_unload()


@torch.no_grad()
def leave_token_rewards(alignment: Alignment, module: OffPolicyModule, ref: ReferenceCache | None) -> None:
    """Score held-out responses token by token with the trained policy, and write both files."""
    c, tokenizer = alignment.setting.composition, alignment.policy.tokenizer
    rows = alignment.rows.test[: c.eval.token_rewards]
    if not rows or not wanted(alignment):
        return
    reference = module.reference if c.reference.given else None
    scorer = ImplicitReward(
        module.policy, reference, module.scoring, c.reward.beta, c.divergence, c.reward_level, c.length
    )
    loader = EvalLoader(rows, alignment.sizes, alignment.collator(ref))
    device = next(module.policy.parameters()).device
    found: list[Judged] = []
    with c.trainer.autocast(device.type), progress(len(loader), "rewards of tokens") as bar:
        for batch in loader:
            found += _judged(scorer, rows, batch.to(device), tokenizer)
            bar.advance()
    found.sort(key=lambda response: (response.row, response.number))
    write_token_rewards(alignment.setting.out / "token_rewards.jsonl", found)
    page = [response for response in found if response.row < PAGE_ROWS]
    about = (
        f"Each token's reward on held-out responses after training: beta {c.reward.beta:g}, "
        f"{c.choice('divergence')}, {c.choice('reference')}. Blue tokens have become likelier than under the "
        "reference, orange ones less likely."
    )
    write_heat_map(alignment.setting.out / "token_rewards.html", page, c.config["algo"]["title"], about)


def _judged(scorer: ImplicitReward, rows: Any, batch: Batch, tokenizer: Any) -> Iterator[Judged]:
    logp_BKT, ref_logp_BKT = scorer.logps(batch)
    reward_BKT = scorer.of_tokens(logp_BKT, ref_logp_BKT, batch)
    reward_BK = scorer.of_responses(logp_BKT, ref_logp_BKT, batch).tolist()
    values_BKT3 = torch.stack([reward_BKT, logp_BKT, ref_logp_BKT], -1)
    special = set(tokenizer.all_special_ids)
    for b, index in enumerate(batch.index_B.tolist()):
        if index < 0:
            continue
        row: Row = rows[index]
        prompt = tokenizer.decode(row.prompt, skip_special_tokens=True)
        for k, response in enumerate(row.responses):
            values = values_BKT3[b, k, : len(response)].tolist()
            texts = pieces(tokenizer, row.prompt, response)
            tokens = [
                Token(token, text, token in special, *(_known(scorer, value) if t >= row.skip else ()))
                for t, (token, text, value) in enumerate(zip(response, texts, values, strict=True))
            ]
            label, merit = _label(row, k)
            yield Judged(index, k, label, merit, prompt, row.source, reward_BK[b][k], tokens)


def _known(scorer: ImplicitReward, value: list[float]) -> list[float | None]:
    reward, logp, ref_logp = value
    return [reward, logp, None if scorer.reference is None else ref_logp]


def _label(row: Row, k: int) -> tuple[str, float]:
    """What the row says of a response, and a number that is larger for better ones."""
    if row.prefer is not None:
        lead = sum(map(float, row.prefer[k])) - sum(float(other[k]) for other in row.prefer)
        return "preferred" if lead > 0 else "dispreferred" if lead < 0 else "as good as the others", lead
    if row.good is not None and row.bad is not None:
        lead = float(row.good[k]) - float(row.bad[k])
        return "good" if lead > 0 else "bad" if lead < 0 else "neither good nor bad", lead
    if row.scores is not None:
        return f"score {float(row.scores[k]):.3g}", float(row.scores[k])
    return "response", 0.0
