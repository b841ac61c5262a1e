"""The gold world: prompts, every response, the reward, and the base policy that is imitated.

Legend beside the one of ``xpo.contracts``: X prompts of the world, N responses per prompt (the same
ones for every prompt, in a fixed order: by length, then alphabetically), A symbols of the alphabet.
Everything exact is float64.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xpo.gold import constants, tokens
from xpo.scoring.support import Support

_LIKING, _BASE, _DISLIKE = (
    0,
    1,
    2,
)  # the streams of a world's seed: one quantity's size never moves another's draws


@dataclass(frozen=True)
class World:
    """One enumerable language with a known reward.

    A prompt is two words; a response is 1 to ``max_symbols`` symbols and EOS. The reward is the mean
    of the prompt's liking of the response's symbols plus ``constants.DIVERSITY`` times the share of
    its symbols that are distinct. Labels follow Bradley-Terry: P(i beats j) = sigmoid(r_i - r_j).

    Raises ``ValueError`` for sizes that cannot be spelled with the world's words or enumerated.
    """

    prompts: int = constants.PROMPTS
    symbols: int = constants.SYMBOLS
    max_symbols: int = constants.MAX_SYMBOLS
    seed: int = field(default=constants.SEED)

    def __post_init__(self) -> None:
        words = len(constants.ADJECTIVES) * len(constants.NOUNS)
        for name, value, low, high in (
            ("prompts", self.prompts, 1, words),
            ("symbols", self.symbols, 2, len(constants.ALPHABET)),
            ("max_symbols", self.max_symbols, 1, 8),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} of the gold world must be {low} to {high}, got {value}")
        if self.size > constants.MAX_RESPONSES:
            raise ValueError(
                f"symbols={self.symbols} and max_symbols={self.max_symbols} make {self.size} responses per "
                f"prompt, at most {constants.MAX_RESPONSES} are enumerated: lower one of the two"
            )

    @property
    def size(self) -> int:
        """N, the number of responses of a prompt."""
        return sum(self.symbols**n for n in range(1, self.max_symbols + 1))

    @cached_property
    def responses(self) -> tuple[tuple[int, ...], ...]:
        """All responses as symbol numbers, without EOS."""
        lengths = range(1, self.max_symbols + 1)
        return tuple(y for n in lengths for y in itertools.product(range(self.symbols), repeat=n))

    @cached_property
    def response_ids(self) -> tuple[tuple[int, ...], ...]:
        """All responses as token ids, EOS included."""
        return tuple((*(tokens.FIRST_SYMBOL + s for s in y), tokens.EOS_ID) for y in self.responses)

    @cached_property
    def prompt_texts(self) -> tuple[str, ...]:
        """The prompts as a reader sees them."""
        first, second = constants.ADJECTIVES, constants.NOUNS
        numbers = ((x + x // len(second), x % len(second)) for x in range(self.prompts))
        return tuple(f"{first[i % len(first)]} {second[j]}" for i, j in numbers)

    @cached_property
    def prompt_ids(self) -> tuple[tuple[int, ...], ...]:
        """The prompts as token ids, BOS first."""
        vocabulary = tokens.vocabulary(self.symbols)
        return tuple((tokens.BOS_ID, *(vocabulary[w] for w in text.split())) for text in self.prompt_texts)

    @cached_property
    def response_texts(self) -> tuple[str, ...]:
        """The responses as a reader sees them: symbols with spaces, no EOS."""
        return tuple(" ".join(constants.ALPHABET[s] for s in y) for y in self.responses)

    @cached_property
    def length_N(self) -> Tensor:
        """Trained tokens of each response, EOS included (int64)."""
        return torch.tensor([len(y) + 1 for y in self.responses])

    @cached_property
    def class_XN(self) -> Tensor:
        """The class of each response, by its first symbol: rock, paper and scissors take turns."""
        return torch.tensor([y[0] % constants.CLASSES for y in self.responses]).expand(self.prompts, -1)

    @property
    def excess(self) -> tuple[tuple[float, ...], ...]:
        """By classes, what of the log-odds of winning is no difference of rewards; empty: nothing."""
        return ()

    @cached_property
    def liking_XA(self) -> Tensor:
        """How much prompt x likes symbol a."""
        noise_XA = torch.randn(
            self.prompts, self.symbols, generator=self._stream(_LIKING), dtype=torch.float64
        )
        return constants.LIKING_SCALE * noise_XA

    @cached_property
    def node(self) -> dict[tuple[int, ...], int]:
        """Where each response stands, by its symbols."""
        return {y: n for n, y in enumerate(self.responses)}

    @cached_property
    def reward_XN(self) -> Tensor:
        """The known reward of every response."""
        columns = [
            self.liking_XA[:, list(y)].mean(1) + constants.DIVERSITY * len(set(y)) / len(y)
            for y in self.responses
        ]
        return torch.stack(columns, dim=1)

    @cached_property
    def dislike_XA(self) -> Tensor:
        """How much symbol a costs with prompt x: in part what it is liked for, in part its own draw."""
        own_XA = torch.randn(
            self.prompts, self.symbols, generator=self._stream(_DISLIKE), dtype=torch.float64
        )
        shared, tension = self.liking_XA / constants.LIKING_SCALE, constants.COST_TENSION
        return constants.COST_SCALE * (tension * shared + (1 - tension**2) ** 0.5 * own_XA)

    @cached_property
    def cost_XN(self) -> Tensor:
        """The known cost of every response, positive is unsafe: the mean dislike of its symbols.

        Less its mean under the base policy, prompt by prompt: a limit of 0 is what the base policy costs.
        Dislikes and likings of symbols correlate with ``constants.COST_TENSION`` in law (0.51 as drawn in the
        default world); costs and rewards of the base policy's responses with 0.48 there, from -0.12 to 0.84
        by prompt.
        """
        mean_XN = torch.stack([self.dislike_XA[:, list(y)].mean(1) for y in self.responses], dim=1)
        return mean_XN - (self.base_logp_XN.exp() * mean_XN).sum(1, keepdim=True)

    @cached_property
    def win_XNN(self) -> Tensor:
        """P(response i beats response j | prompt x)."""
        return torch.sigmoid(self.reward_XN[:, :, None] - self.reward_XN[:, None, :])

    @cached_property
    def base_logp_XN(self) -> Tensor:
        """Log-probabilities of the base policy: a chain over symbols with a constant chance to stop."""
        noise = torch.randn(
            self.prompts, self.symbols + 1, self.symbols, generator=self._stream(_BASE), dtype=torch.float64
        )
        step = torch.log_softmax(constants.BASE_SCALE * noise, dim=-1)  # [x, last or start, next symbol]
        step[:, self.symbols] = self._first_logp_XA(step[:, self.symbols])
        stop = torch.tensor(constants.BASE_STOP, dtype=torch.float64)
        columns = []
        for y in self.responses:
            logp_X = torch.stack([step[:, a, b] for a, b in zip((self.symbols, *y), y, strict=False)]).sum(0)
            logp_X = logp_X + (len(y) - 1) * torch.log1p(-stop)
            columns.append(logp_X if len(y) == self.max_symbols else logp_X + stop.log())
        return torch.stack(columns, dim=1)

    @cached_property
    def expert_logp_XN(self) -> Tensor:
        """Log-probabilities of who demonstrates better than the base policy: base times e^reward."""
        return torch.log_softmax(self.base_logp_XN + self.reward_XN, dim=1)

    def tokenizer(self) -> Any:
        """The world's Hugging Face tokenizer (``PreTrainedTokenizerFast``, one token per word)."""
        return tokens.build_tokenizer(self.symbols)

    @property
    def vocabulary_size(self) -> int:
        return len(tokens.vocabulary(self.symbols))

    def support(self, vocabulary: int | None = None) -> Support:
        """Which tokens a policy may put mass on at response position t; the end is forced at the last.

        ``vocabulary`` is the model's, when it is padded beyond the tokenizer's.
        """
        allowed_TV = torch.zeros(self.max_symbols + 1, vocabulary or self.vocabulary_size, dtype=torch.bool)
        allowed_TV[:-1, tokens.FIRST_SYMBOL : tokens.FIRST_SYMBOL + self.symbols] = True
        allowed_TV[1:, tokens.EOS_ID] = True
        return Support(allowed_TV)

    def _first_logp_XA(self, drawn_XA: Tensor) -> Tensor:
        """Of the base policy's first symbols, for those who do not take them as they are drawn."""
        return drawn_XA

    def _stream(self, quantity: int) -> torch.Generator:
        return torch.Generator().manual_seed(1_000 * self.seed + quantity)
