"""Silence for what libraries print about themselves."""

from __future__ import annotations

import logging
import warnings

_HINTS = (
    ".*does not have many workers.*",  # rows are in memory: workers would copy them
    ".*`isinstance.treespec, LeafSpec.` is deprecated.*",  # Lightning's use of torch, not ours
    ".*GPU available but not used.*",
)


def quiet_libraries() -> None:
    """No adverts, duplicate INFO lines and bars of Lightning, transformers and datasets; warnings stay.

    Called once, before Lightning's first trainer.
    """
    import datasets
    import lightning.pytorch  # noqa: F401  (it installs the handlers that go)
    import transformers

    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
        logger.propagate = True
    for message in _HINTS:
        warnings.filterwarnings("ignore", message=message)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
