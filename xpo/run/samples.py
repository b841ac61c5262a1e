"""``samples.jsonl``: what the model answers to a few held-out prompts, before and after training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xpo.contracts import Batch, StepTotals
from xpo.run.files import plain, write_text
from xpo.sampler.policy import Policy, left_padded, own_distribution, until_end
from xpo.scoring.pack import pack
from xpo.scoring.parts import evaluating


@dataclass(frozen=True)
class Question:
    """A held-out prompt and the row's first response (of a pair or list the preferred), as token ids."""

    prompt: Sequence[int]
    data: Sequence[int] | None = None
    source: str = ""


@dataclass(frozen=True)
class Generation:
    """How responses are drawn; ``seed`` fixes them whatever the training did to the random state."""

    max_new_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0


def write_samples(
    path: Path, policy: Policy, questions: Sequence[Question], settings: Generation, when: str
) -> list[dict[str, Any]]:
    """Answer every question greedily and once sampled; replace the file's lines of the same ``when``.

    A line has ``when, mode, prompt, response, logp`` (nats, of the whole response), ``tokens, finished``
    (did it end by itself), ``data_response, data_logp`` (of the row's first response), ``source``.
    """
    lines = sample_records(policy, questions, settings, when) if questions else []
    kept = [line for line in _lines(path) if json.loads(line)["when"] != when]
    text = [json.dumps(plain(record), ensure_ascii=False) for record in lines]
    write_text(path, "".join(f"{line}\n" for line in (*kept, *text)))
    return lines


def sample_records(
    policy: Policy, questions: Sequence[Question], settings: Generation, when: str
) -> list[dict[str, Any]]:
    """The records of ``write_samples``, greedy and sampled answers of a prompt side by side."""
    prompts = [question.prompt for question in questions]
    answers = {
        mode: generate(policy, prompts, settings, sample=mode == "sampled") for mode in ("greedy", "sampled")
    }
    told = [i for i, question in enumerate(questions) if question.data]
    data_logp = dict(
        zip(
            told,
            response_logp(policy, [prompts[i] for i in told], [questions[i].data or () for i in told]),
            strict=True,
        )
    )
    logps = {mode: response_logp(policy, prompts, responses) for mode, responses in answers.items()}
    decode = policy.tokenizer.decode
    return [
        {
            "when": when,
            "mode": mode,
            "prompt": decode(question.prompt),
            "response": decode(answers[mode][i], skip_special_tokens=True),
            "logp": logps[mode][i],
            "tokens": len(answers[mode][i]),
            "finished": answers[mode][i][-1] in policy.ends,
            "data_response": decode(question.data, skip_special_tokens=True) if i in told else None,
            "data_logp": data_logp.get(i),
            "source": question.source,
        }
        for i, question in enumerate(questions)
        for mode in answers
    ]


@torch.no_grad()
def generate(
    policy: Policy, prompts: Sequence[Sequence[int]], settings: Generation, *, sample: bool
) -> list[list[int]]:
    """One response per prompt as token ids, EOS included where it came; the random state stays as it was.

    The model's window ends them too.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    ends, width = policy.ends, max(map(len, prompts))
    choice = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0} if sample else {}
    window = int(policy.model.config.get_text_config().max_position_embeddings)
    config = GenerationConfig(
        max_new_tokens=max(1, min(settings.max_new_tokens, window - width)),
        do_sample=sample,
        eos_token_id=sorted(ends),
        pad_token_id=policy.pad,
        **choice,
    )
    model = policy.model
    ids_BP, mask_BP = left_padded(prompts, policy.pad, model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        evaluating(model),
        policy.processors(width) as processors,
        own_distribution(model) as inner,
    ):
        torch.manual_seed(settings.seed)
        out_BS = inner.generate(
            input_ids=ids_BP,
            attention_mask=mask_BP,
            generation_config=config,
            logits_processor=LogitsProcessorList(processors),
        )
    return [until_end(row, ends) for row in out_BS[:, width:].tolist()]


@torch.no_grad()
def response_logp(
    policy: Policy, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
) -> list[float]:
    """log pi(response | prompt) by the run's own scoring pass, as it is drawn, row by row."""
    scoring = policy.scoring if policy.decoding is None else policy.decoding.scoring(policy.scoring)
    result = []
    for prompt, response in zip(prompts, responses, strict=True):
        packed, mask_BKT = pack([(prompt, [response])], pad_id=policy.pad, support=policy.scoring.support)
        one = torch.ones(1)
        batch = Batch(packed, mask_BKT, one, one.long(), StepTotals(1.0, 1.0, 1)).to(policy.model.device)
        result.append(scoring(policy.model, batch).sum().item())
    return result


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
