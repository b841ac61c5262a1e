"""Training on rollouts: the policy's own samples, scored before the first update."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import Scores, Steps
from xpo.contracts import Batch, masked
from xpo.module.off_policy import OffPolicyModule
from xpo.on_policy.arrow import OnPolicy, Stream, last
from xpo.on_policy.experience import Experience
from xpo.run.metrics import Ratio
from xpo.run.ranks import sum_over_ranks
from xpo.scoring.parts import evaluating


@dataclass(frozen=True)
class Said:
    """What was said of a rollout's N prompts and K samples: scores, costs, scores of single tokens.

    ``sampler_logp_NKT`` is what the sampler says of its tokens' log-probabilities.
    """

    score_NK: Tensor
    sampler_logp_NKT: Tensor
    part_NKT: Tensor | None = None
    cost_NK: Tensor | None = None


class OnPolicyModule(OffPolicyModule):
    """score -> advantages of the whole rollout -> policy loss, and what is imitated beside it.

    ``penalty_scale`` is the adaptive multiple of beta, ``constraint_state`` what a constraint remembers,
    ``batches_per_rollout`` is for the clock, ``stopped`` whether the rollout was left early.
    """

    arrow: OnPolicy  # pyright: ignore[reportIncompatibleVariableOverride]
    penalty_scale: Tensor
    constraint_state: Tensor
    stopped: Tensor

    def __init__(self, *settings: Any, batches_per_rollout: int = 1) -> None:
        super().__init__(*settings)
        self.batches_per_rollout = batches_per_rollout
        self._begin: float | None = None
        self._moved: list[Ratio] = []  # KL(old || policy) of the step's micro-batches
        self.register_buffer("penalty_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("constraint_state", self.arrow.constraint.start())
        self.register_buffer("stopped", torch.zeros((), dtype=torch.bool))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._begin = time.monotonic()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The time of an update ends here: callbacks, which log and evaluate, come before the batch's end."""
        super().optimizer_step(*args, **kwargs)
        self._spent()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self._spent()

    def _spent(self) -> None:
        """Add the time since the micro-batch began, once."""
        if self._begin is None:
            return
        seconds = torch.tensor(time.monotonic() - self._begin)
        self.sums.add("time/update", seconds, 1 / self.batches_per_rollout)
        self._begin = None

    def loss(self, batch: Batch) -> Tensor:
        share = super().loss(batch)
        if batch.beside is not None:
            share = share + self._imitated(batch.beside)
        return share

    def evaluate(
        self, batch: Batch, steps: Steps, measured: bool = True, scores: Scores | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        """One micro-batch's share of the loss, and its metrics."""
        scores = scores or self.scores(batch)
        weight = self.arrow.constraint.weight(self.constraint_state)
        scored = self.arrow(batch, scores, steps, float(self.penalty_scale * weight))
        metrics: dict[str, Ratio] = {
            "loss": (scored.share.detach(), batch.weight_B.sum() / batch.totals.rows)
        }
        if self.arrow.objective.stop_kl is not None:
            self._moved.append(scored.metrics["policy/kl_to_old"])
        return scored.share, metrics | scored.metrics

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Nothing of a rollout is trained on once the policy is too far from who sampled it."""
        if self.arrow.objective.stop_kl is None:
            return
        self.stopped |= self.too_far()
        self.sums.add("policy/stopped", self.stopped.float())
        if self.stopped:
            for parameter in self.parameters():
                parameter.grad = None  # zeros would let momentum and weight decay go on

    def too_far(self) -> bool:
        """Whether the tokens of the step's micro-batches since this was asked, on all ranks, say so."""
        moved = torch.stack(
            [torch.stack([a.double(), torch.as_tensor(n).to(a.device)]) for a, n in self._moved]
        )
        self._moved.clear()
        above, count = sum_over_ranks(moved.sum(0))
        return bool(above > self.arrow.objective.stop_kl * count)

    def _imitated(self, batch: Batch) -> Tensor:
        """The share of the likelihood of demonstrations, which come in rows of their own."""
        logp_BKT, prompt_logp_BP, _ = self.scoring.everything(self.policy, batch, self.arrow.prompt_edges)
        above, below = self.arrow.sft.term(logp_BKT, prompt_logp_BP, batch)
        likelihood = above / below
        self.sums.add("nll_loss", likelihood.detach(), batch.weight_B.sum() / batch.totals.rows)
        return self.arrow.sft.weight * likelihood

    @torch.no_grad()
    def prepare(self, batches: Sequence[Batch], said: Said) -> Experience:
        """What a rollout's tokens earned and how much better than expected that is.

        ``batches`` hold all its rows, by ``index_B``.
        """
        self.stopped.zero_()
        known = self._scored(batches, said.sampler_logp_NKT.shape)
        mask_NKT = known["mask"] > 0
        ratio_NKT = self.arrow.ratio(known["old"], known["ref"], mask_NKT)
        reward, cost = self._streams(said, known, ratio_NKT, mask_NKT)
        found = self.arrow.estimate(reward, cost, self.constraint_state, mask_NKT)
        self._tell(said, mask_NKT, ratio_NKT, known["old"])
        self._adapt(said, mask_NKT, ratio_NKT)
        fitted = self.arrow.critic.fits_returns
        return Experience(
            old_logp=known["old"],
            ref_logp=known["ref"],
            advantage=found.advantage_BKT,
            reward=reward.reward_BKT,
            value=reward.value_BKT if fitted else None,
            returns=found.return_BKT if fitted else None,
            cost_value=cost.value_BKT if fitted and cost is not None else None,
            cost_returns=found.cost_return_BKT if fitted else None,
            sampler_logp=said.sampler_logp_NKT,
        )

    def _streams(
        self, said: Said, known: dict[str, Tensor], ratio_NKT: Tensor, mask_NKT: Tensor
    ) -> tuple[Stream, Stream | None]:
        """Rewards and, under a constraint, costs; the penalty is in either as the constraint has it."""
        arrow = self.arrow
        earned_NKT = arrow.earned(said.score_NK, said.part_NKT, mask_NKT)
        penalty, own = arrow.penalised(ratio_NKT, mask_NKT, float(self.penalty_scale))
        if not arrow.constraint.applies:
            return Stream(earned_NKT + penalty, own, known.get("value")), None
        assert said.cost_NK is not None, "the rules let no constraint run without costs"
        cost_NKT = said.cost_NK[..., None] * last(mask_NKT)
        (reward_in, cost_in), (reward_own, cost_own) = map(arrow.constraint.streams, (penalty, own))
        cost = Stream(cost_NKT + cost_in, cost_own, known.get("cost_value"))
        return Stream(earned_NKT + reward_in, reward_own, known.get("value")), cost

    def _adapt(self, said: Said, mask_NKT: Tensor, ratio_NKT: Tensor) -> None:
        """What the next rollout's penalty and price of costs will be."""
        count = int(mask_NKT.any(-1).sum())
        if self.arrow.penalty.in_reward:
            observed = float(self.arrow.distance(ratio_NKT, mask_NKT)) / count
            scale = self.arrow.penalty.adapted(float(self.penalty_scale), observed, count)
            self.penalty_scale.fill_(scale)
            self.sums.add("rollout/penalty_scale", self.penalty_scale)
        if self.arrow.constraint.applies:
            assert said.cost_NK is not None
            cost_N = said.cost_NK[mask_NKT.any(-1)]
            self.constraint_state.copy_(
                self.arrow.constraint.updated(self.constraint_state.cpu(), cost_N.cpu())
            )
            for name, value in self.arrow.constraint.metrics(self.constraint_state).items():
                self.sums.add(f"constraint/{name}", torch.tensor(value))

    def _scored(self, batches: Sequence[Batch], shape: Sequence[int]) -> dict[str, Tensor]:
        """Log-probabilities and values of all rows, N x K x T."""
        found: dict[str, Tensor] = {}
        with evaluating(self.policy):
            for batch in batches:
                scores = self.scores(batch)
                said = {"old": scores.logp_BKT, "ref": scores.ref_logp_BKT, "mask": batch.mask_BKT.float()}
                said |= {name.removesuffix("_BKT"): value for name, value in scores.value.items()}
                for name, value_BKT in said.items():
                    table = found.setdefault(name, value_BKT.new_zeros(tuple(shape)))
                    _, size, width = value_BKT.shape
                    table[batch.index_B, :size, :width] = masked(value_BKT.detach(), batch.mask_BKT)
        return found

    def _tell(self, said: Said, mask_NKT: Tensor, ratio_NKT: Tensor, old_NKT: Tensor) -> None:
        """Log what the rollout was like, and how far sampler and scoring pass are apart."""
        tokens, present_NK = mask_NKT.sum().float(), mask_NKT.any(-1)
        count = present_NK.sum().float()
        gap_NKT = masked((old_NKT - said.sampler_logp_NKT).abs(), mask_NKT)
        self.sums.add("rollout/score", masked(said.score_NK, present_NK).sum(), count)
        self.sums.add("rollout/length", tokens, count)
        self.sums.add("rollout/sampler_gap", gap_NKT.sum(), tokens)
        if said.cost_NK is not None:
            self.sums.add("rollout/cost", masked(said.cost_NK, present_NK).sum(), count)
        if self.arrow.given_reference:
            self.sums.add("rollout/log_ratio", ratio_NKT.sum(), count)
        if self.arrow.penalty.applies:  # a reference may be there to draw alone
            self.sums.add("rollout/divergence", self.arrow.distance(ratio_NKT, mask_NKT), count)
