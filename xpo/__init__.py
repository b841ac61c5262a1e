"""xpo: a plugin-based experiment framework for aligning language models.

Importing this package imports neither torch nor Lightning nor transformers, so that ``--help``,
completion and ``xpo table`` stay fast.
"""

from xpo.registry import register

__version__ = "0.1.0"
__all__ = ["__version__", "register"]
