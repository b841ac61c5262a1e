"""What a vLLM server answered: completions in token ids, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from xpo.errors import UserError
from xpo.judge.errors import Again
from xpo.sampler.base import Draw

Drawn = tuple[list[int], list[float], bool]


@dataclass(frozen=True)
class Expected:
    """What an answer must hold: the draw's responses to this prompt, ids below ``vocabulary``."""

    url: str
    prompt: Sequence[int]
    draw: Draw
    vocabulary: int
    ends: Collection[int]

    def read(self, text: str) -> list[Drawn]:
        """Responses, log-probabilities and whether each is finished.

        Raises ``Again`` for an answer that is broken, ``UserError`` for a server that cannot serve.
        """
        choices = parsed(text).get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise Again(f"the answer has no choices: {text[:80]!r}")
        if len(choices) != self.draw.responses:
            raise Again(f"{self.draw.responses} responses were asked for, the answer has {len(choices)}")
        return [self._choice(choice) for choice in choices]

    def _choice(self, choice: dict[str, Any]) -> Drawn:
        ids, reason = self._ids(choice), choice.get("finish_reason")
        if reason not in ("stop", "length"):
            raise Again(f"a response ended with finish_reason={reason!r:.40}, not by stop or length")
        if not 1 <= len(ids) <= self.draw.max_new_tokens:
            raise Again(f"a response has {len(ids)} tokens, 1 to {self.draw.max_new_tokens} were asked for")
        done = reason == "stop"
        if done and not isinstance(choice.get("stop_reason"), str) and ids[-1] not in self.ends:
            raise UserError(
                f"{self.url} ended a response at token {ids[-1]}, which is none of the policy's ends "
                f"{sorted(self.ends)}: it serves another model, or its generation config has other ends"
            )
        if done and len(ids) <= self.draw.min_new_tokens:
            raise Again(
                f"a response ended after {len(ids)} tokens, min_new_tokens={self.draw.min_new_tokens}"
            )
        return ids, _logps(choice, len(ids)), done

    def _ids(self, choice: dict[str, Any]) -> list[int]:
        ids, prompt = choice.get("token_ids"), choice.get("prompt_token_ids")
        if not isinstance(ids, list) or not isinstance(prompt, list):
            raise UserError(
                f"{self.url} gives no token ids (return_token_ids): this engine needs a vLLM server, "
                "version 0.10.2 or newer"
            )
        if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < self.vocabulary for i in ids):
            raise UserError(
                f"{self.url} gave token ids that are not 0 to {self.vocabulary - 1}, the policy's: it serves "
                "another model"
            )
        if prompt != list(self.prompt):
            raise UserError(
                f"{self.url} answered to another prompt than it was given ({len(prompt)} tokens, "
                f"{len(self.prompt)} given): it cuts or changes prompts"
            )
        return ids


def parsed(text: str) -> dict[str, Any]:
    """A JSON object, or ``Again``."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Again(f"the answer is no JSON: {text[:80]!r}") from None
    if not isinstance(found, dict):
        raise Again(f"the answer is no JSON object: {text[:80]!r}")
    return found


def _logps(choice: dict[str, Any], count: int) -> list[float]:
    told = choice.get("logprobs")
    found = told.get("token_logprobs") if isinstance(told, dict) else None
    if not isinstance(found, list) or len(found) != count:
        raise Again("the answer has no log-probability for each token (logprobs.token_logprobs)")
    for value in found:
        # rounding may leave a certain token a little above 0
        if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < 1e-3:
            raise Again(f"{value!r:.40} is no log-probability")
    return [float(value) for value in found]
