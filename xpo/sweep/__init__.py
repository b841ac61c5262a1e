"""Sweeps: ``-m`` runs every cell of a grid, keeps going, and ends with a table of all cells.

``register`` makes ``hydra/sweeper: xpo`` selectable. Options of the sweeper (``hydra.sweeper.<key>``):
``processes`` (null: cells run in this process, one after another; n: each cell is a fresh
``python -m xpo``, n at once, so that nothing a cell does touches another) and ``params`` (a grid
written in a config file, as in Hydra's basic sweeper).

The sweep's folder gets ``sweep.jsonl``, one row per cell as it ends (see ``xpo.sweep.rows``).
"""

from xpo.sweep.argv import sweep_argv
from xpo.sweep.register import register

__all__ = ["register", "sweep_argv"]
