"""How a saved reward model is asked, as its card says it: Python that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_POINTWISE = """By transformers alone, for plain texts:

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder)
prompt, response = "the prompt", " the response"
ids = tokenizer(prompt + response, add_special_tokens=False)["input_ids"]
ids = [token for token in [tokenizer.bos_token_id] if token is not None] + ids + [tokenizer.eos_token_id]
with torch.no_grad():
    score = model(torch.tensor([ids])).logits[0]  # of each member of the head
```

"""

_ASKED = """By xpo, which takes care of tokens, chat templates, windows{cares}:

```python
from xpo.reward_model.saved import load_reward

model = load_reward(".")  # this folder
rows = [{{"prompt": "the prompt", "completions": [" a response", " another"]}}]
for opinions in model.opinions(rows):  # one of each member of the head
    print([opinion.{what}.tolist() for opinion in opinions])
```

"""

_PARTS = """```python
from xpo.reward_model.saved import load_reward
from xpo.reward_model.solution import judged_parts

model = load_reward(".")  # this folder
rows = [{{"prompt": "the prompt", "completions": [{example}]}}]  # whole responses
for judged_responses in judged_parts(model, rows):
    for judged in judged_responses:
        ends = [part.end for part in judged.parts]  # in characters of the response
        print(ends, judged.logit_MS.tolist(), judged.log_score_M("product").tolist())
```

A response is taken apart into {parts}. Each
has the log-odds (nats) that it is right, for each member of the head: `sigmoid` makes a probability of them,
and `log_score_M` the log of the response's score, the product, the minimum or the mean of the probabilities.
`xpo.reward_model.solution.token_scores` puts them at tokens.

By transformers alone, for plain texts: the whole response is tokenised, and the score of a part is read at
the token that holds its **last visible character**. Text that is cut at the end of a part gives other numbers
where the tokenizer has that character and what follows it in one token.

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)  # a fast one
model = AutoModelForSequenceClassification.from_pretrained(folder)
prompt, response = "the prompt", {example}
ends = [{ends}]  # of the parts, in characters of the response
found = tokenizer(prompt + response, add_special_tokens=False, return_offsets_mapping=True)
before = [token for token in [tokenizer.bos_token_id] if token is not None]
starts = [start for start, _ in found["offset_mapping"]]
sizes = [sum(start < len(prompt) + end for start in starts) for end in ends]
rows = [torch.tensor([before + found["input_ids"][:size]]) for size in sizes]
with torch.no_grad():
    logits = [model(row).logits[0] for row in rows]  # log-odds of each part, of each member
```

"""


@dataclass(frozen=True)
class Apart:
    """What the parts of a response are, and a response with their ends, in characters."""

    what: str
    example: str
    ends: tuple[int, ...]

    @classmethod
    def of(cls, level: Any, separator: str) -> Apart:
        """Of an option that judges parts; ``separator`` stands between steps."""
        if level.by_spans:
            example = "This is one sentence. This, in two halves, is another."
            what = "sentences, or parts of them, as `xpo.reward_level` in config.json says"
        else:
            example = f"the first step{separator}the second"
            what = f"steps, which `{separator!r}` separates (`xpo.step_separator` in config.json)"
        return cls(what, example, tuple(part.end for part in level.parts(example, separator)))


def of_wholes(cares: str) -> str:
    """Of a model that scores whole responses; ``cares``: what xpo sees to beside tokens."""
    return _POINTWISE + _ASKED.format(what="reward_BK", cares=f" and {cares}")


def of_parts(apart: Apart) -> str:
    """Of a model that judges parts."""
    ends = ", ".join(map(str, apart.ends))
    return _PARTS.format(example=repr(apart.example), parts=apart.what, ends=ends)


def of_pairs() -> str:
    """Of a model that compares two."""
    return (
        "It says how surely one response beats another, so that a response alone has no score. "
        + _ASKED.format(what="log_odds_BKK", cares=", and puts both responses together")
        + "`log_odds_BKK[i, j]` are the log-odds (nats) that response i beats response j."
    )
