"""The constants of the default world, in one place.

They were fixed before anything was trained in it. A method that does badly here is a fact about the
method; nothing below is ever moved to make a number look better.
"""

from __future__ import annotations

PROMPTS = 8
SYMBOLS = 6
MAX_SYMBOLS = 3
"""Responses are 1 to 3 symbols and EOS: 6 + 36 + 216 = 258 of them per prompt."""

LARGE_MAX_SYMBOLS = 4
"""The larger world: 1,554 responses per prompt."""

SEED = 0

LIKING_SCALE = 1.0
"""Standard deviation of a prompt's liking of a symbol, in reward units."""

DIVERSITY = 0.5
"""Reward of a response whose symbols all differ; it is paid by the share of distinct symbols."""

COST_SCALE = 1.0
"""Standard deviation of a prompt's dislike of a symbol, in cost units."""

COST_TENSION = 0.5
"""Correlation of a prompt's dislike of a symbol with its liking: what pays is also, in part, what costs."""

CLASSES = 3
"""Classes of responses between which a labeller may be cyclic: class 1 beats 0, 2 beats 1, 0 beats 2."""

BASE_SCALE = 0.7
"""Standard deviation of the base policy's logit of the next symbol, given prompt and last symbol."""

BASE_STOP = 0.3
"""The base policy's probability of EOS after each symbol before the last possible one."""

MAX_RESPONSES = 20_000
"""Larger worlds are refused: pairs are enumerated, so memory grows with the square of this."""

ALPHABET = "abcdefghijklmnop"
ADJECTIVES = ("calm", "bright", "small", "late", "old", "wild", "cold", "quick")
NOUNS = ("river", "stone", "garden", "engine", "winter", "letter", "harbour", "mirror")

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
