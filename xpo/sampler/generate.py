"""Drawing by transformers' ``generate``: one prefill for each prompt, whatever the number of responses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.critic.base import Processor
from xpo.errors import UserError
from xpo.run.say import say
from xpo.sampler.base import Draw, Sampled, chances, seeds, widest
from xpo.sampler.drawing import Drawing, warpers
from xpo.sampler.policy import Policy, left_padded, own_distribution
from xpo.sampler.prefill import prefilled, why_not_shared
from xpo.sampler.stops import StopNow, Stops
from xpo.scoring.parts import evaluating, unwrap

Blend = Callable[[Tensor, Tensor, int], Processor]
"""Of a batch's prompts (ids and mask, BP) and their copies: a processor that changes the distribution."""

Drawn = list[tuple[list[int], list[float], bool]]


@dataclass(frozen=True)
class Generate:
    """Draws from the policy itself (under the run's support, as a critic decodes it).

    ``share``: the K responses to a prompt begin from copies of one cache of it. Models whose cache cannot be
    copied (recurrent states) read the prompt K times, and that is said once. The prompt's last token is read
    with the responses.
    """

    share: bool = True

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        return drawn(policy, prompts, draw, generator, shares(policy.model, self.share))


def shares(model: Any, wanted: bool) -> bool:
    """Whether prompts are read once; says so where they are not and should be."""
    reason = why_not_shared(model) if wanted else ""
    if reason:
        _told(type(unwrap(model)).__name__, reason)
    return wanted and not reason


@functools.cache
def _told(name: str, reason: str) -> None:
    say(f"SLOW SAMPLING: {name} reads each prompt once per response, because {reason}")


@torch.no_grad()
def drawn(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    draw: Draw,
    generator: torch.Generator,
    share: bool,
    blend: Blend | None = None,
) -> Sampled:
    """K responses to each prompt. Raises ``UserError`` where the model's window does not hold them, and
    ``ValueError`` for a prompt without a token or a support that ends responses too early."""
    _check(policy, prompts, draw)
    own = seeds(len(prompts), generator)
    found: dict[int, Drawn] = {}
    with evaluating(policy.model):
        for chosen in batches([len(prompt) for prompt in prompts], draw):
            job = _Job(policy, [prompts[i] for i in chosen], draw, share)
            rows = job.run(torch.cat([chances(own[i], draw) for i in chosen]), blend)
            size = draw.responses
            found |= {i: rows[n * size : (n + 1) * size] for n, i in enumerate(chosen)}
    table = [found[i] for i in range(len(prompts))]
    return Sampled(
        [[tokens for tokens, _, _ in row] for row in table],
        [[logps for _, logps, _ in row] for row in table],
        [[finished for _, _, finished in row] for row in table],
    )


def batches(lengths: Sequence[int], draw: Draw) -> Iterator[list[int]]:
    """Prompts of like length together, as many as fit into ``draw.tokens`` positions; at least one."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        positions = (len(batch) + 1) * draw.responses * (lengths[i] + draw.max_new_tokens)
        if batch and positions > draw.tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@dataclass(frozen=True, eq=False)
class _Job:
    """One generation batch."""

    policy: Policy
    prompts: Sequence[Sequence[int]]
    draw: Draw
    share: bool

    def run(self, chance_RT: Tensor, blend: Blend | None) -> Drawn:
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        model, draw, ends, pad = self.policy.model, self.draw, self.policy.ends, self.policy.pad
        ids_BP, mask_BP = left_padded(self.prompts, pad, model.device)
        width = ids_BP.shape[1]
        stops = StopNow(Stops(self.policy.tokenizer, draw, ends), width)
        drawing = Drawing(chance_RT.to(model.device, widest(model.device)), width)
        config = GenerationConfig(
            max_new_tokens=draw.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(ends),
            pad_token_id=pad,
            use_cache=True,
        )
        with self.policy.processors(width) as chain, own_distribution(model) as inner:
            cache = (
                prefilled(model, ids_BP, mask_BP, draw.responses, draw.max_new_tokens) if self.share else None
            )
            chain += self._shortest(width)
            chain += [blend(ids_BP, mask_BP, draw.responses)] if blend is not None else []
            out_RS = inner.generate(
                input_ids=ids_BP.repeat_interleave(draw.responses, 0),
                attention_mask=mask_BP.repeat_interleave(draw.responses, 0),
                generation_config=config,
                logits_processor=LogitsProcessorList([*chain, *warpers(draw), drawing]),
                stopping_criteria=StoppingCriteriaList([stops]),
                **({} if cache is None else {"past_key_values": cache}),
            )
        rows = [stops.cut(r, tokens) for r, tokens in enumerate(out_RS[:, width:].tolist())]
        logps = drawing.logps([tokens for tokens, _ in rows])
        return [(tokens, logp, done) for (tokens, done), logp in zip(rows, logps, strict=True)]

    def _shortest(self, width: int) -> list[Any]:
        from transformers import MinNewTokensLengthLogitsProcessor

        least, device = self.draw.min_new_tokens, self.policy.model.device
        ends = sorted(self.policy.ends)
        return [MinNewTokensLengthLogitsProcessor(width, least, ends, device=str(device))] if least else []


def _check(policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw) -> None:
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("a prompt has no token; give it at least BOS")
    config = unwrap(policy.model).config.get_text_config().to_dict()
    window, longest = config.get("max_position_embeddings"), max(map(len, prompts), default=0)
    if window is not None and longest + draw.max_new_tokens - 1 > window:
        raise UserError(
            f"a prompt has {longest} tokens and max_new_tokens is {draw.max_new_tokens}, more than the "
            f"window of {window} positions of the model: lower max_new_tokens or cut prompts"
        )
    support = policy.scoring.support
    if support is None:
        return
    free_TV = support.allowed_TV[: draw.min_new_tokens].clone()
    free_TV[:, sorted(policy.ends)] = False
    if not bool(free_TV.any(1).all()):
        raise ValueError(
            f"min_new_tokens={draw.min_new_tokens} goes beyond the longest response of these data: lower it"
        )
