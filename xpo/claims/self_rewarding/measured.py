"""What a policy of texts earns in the gold world, by enumeration, and how far its judgements go with that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xpo.annotator.base import Desk
from xpo.annotator.self import SelfRewarding
from xpo.claims.self_rewarding.lessons import OPENINGS, Lessons, asked, said
from xpo.contracts import Batch, StepTotals
from xpo.data.counts import Counts
from xpo.data.record import Example, Record
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits
from xpo.gold.scorer_metrics import correlation, ranks
from xpo.model.hf import HuggingFace, load_pretrained
from xpo.sampler.policy import Policy
from xpo.scoring.pack import pack
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring


@dataclass(frozen=True)
class Measured:
    """``reward_Q``: expected gold reward of an answer to each prompt of the files. ``formed``: the mean
    probability that an answer is one of the world's. ``judging``: Spearman's correlation of judgements and
    gold rewards of held-out responses within a prompt, mean over the world's prompts."""

    reward_Q: Tensor
    formed: float
    judging: float


def load(model: Path, weights: Path | None = None) -> Policy:
    """The policy of a run's ``model`` folder; ``weights``: as a round of that run left it."""
    loaded = load_pretrained(HuggingFace(str(model)), "model.path")
    if weights is not None:
        found = loaded.model.load_state_dict(torch.load(weights, weights_only=True)["policy"], strict=False)
        if found.unexpected_keys or not set(found.missing_keys) <= {"lm_head.weight"}:
            raise ValueError(f"{weights} does not fit {model}: {found}")
        loaded.model.tie_weights()
    path, _ = choose_path(loaded.model)
    return Policy(loaded.model, loaded.tokenizer, Scoring(path=path))


def measured(policy: Policy, lessons: Lessons, judge: SelfRewarding, held: int) -> Measured:
    """``held``: so many of each prompt's held-out responses are judged, in one of its wordings."""
    reward_XN = lessons.world.reward_XN
    reward_Q, formed = expected_reward(logp_QN(policy, lessons), reward_XN[lessons.x_Q])
    held_XH = lessons.held_XH[:, :held]
    return Measured(
        reward_Q, formed, agreement(judgements(policy, lessons, judge, held_XH), reward_XN, held_XH)
    )


def expected_reward(logp_QN: Tensor, reward_QN: Tensor) -> tuple[Tensor, float]:
    """Of an answer, by prompt, and the mean mass of the world's responses.

    What is no response of the world earns the least that there is with its prompt.
    """
    mass_QN = logp_QN.double().exp()
    formed_Q = mass_QN.sum(1)
    lost_Q = (1 - formed_Q) * reward_QN.min(1).values
    return (mass_QN * reward_QN).sum(1) + lost_Q, float(formed_Q.mean())


@torch.no_grad()
def logp_QN(policy: Policy, lessons: Lessons) -> Tensor:
    """Nats of each response with its end, in the tokens that it is trained in; prompt by prompt."""
    answers = tuple(said(text) for text in lessons.world.response_texts)
    rows = tokenize(
        [Example(asked(text), answers) for text in lessons.texts_Q], policy.tokenizer, Limits(), Counts()
    )
    found = []
    for row in rows:
        packed, mask_BKT = pack([(row.prompt, row.responses)], pad_id=policy.pad)
        one = torch.ones(1)
        batch = Batch(packed, mask_BKT, one, one.long(), StepTotals(1.0, 0.0, 1))
        found.append(policy.scoring(policy.model, batch).double().sum(-1)[0])
    return torch.stack(found)


def judgements(policy: Policy, lessons: Lessons, judge: SelfRewarding, chosen_XH: Tensor) -> Tensor:
    """What the policy says of some responses of each prompt, asked as the run asks it."""
    answers, each = lessons.world.response_texts, len(OPENINGS)
    texts = [lessons.texts_Q[x * each + x % each] for x in range(lessons.world.prompts)]
    records = [
        Record(asked(text), tuple(said(answers[n]) for n in chosen), where=text)
        for text, chosen in zip(texts, chosen_XH.tolist(), strict=True)
    ]
    found = judge.judge(records, Desk(Path(), policy=policy))
    return torch.tensor([verdict.scores for verdict in found], dtype=torch.float64)


def agreement(judged_XH: Tensor, reward_XN: Tensor, chosen_XH: Tensor) -> float:
    """Spearman's correlation within prompts, averaged over prompts; equal judgements share a rank."""
    return correlation(ranks(judged_XH), ranks(reward_XN.gather(1, chosen_XH)))
