"""Making the sweeper known to Hydra without a ``hydra_plugins`` folder."""

from __future__ import annotations

import sys
import types
from functools import cache

ALIAS = "hydra_plugins.xpo"


@cache
def register() -> None:
    """Make ``hydra/sweeper: xpo`` selectable, once per process and before Hydra starts.

    Hydra 1.3 instantiates only plugins whose module lies in the package ``hydra_plugins``, so the class
    says it does and the module name leads to it; Hydra 1.4 asks for neither.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    plugins = Plugins.instance()  # scans Hydra's own plugins: must come before their classes are imported
    from xpo.sweep.sweeper import XpoSweeper

    package, _, leaf = ALIAS.partition(".")
    if package not in sys.modules:  # the scan has imported it where a real plugin is installed
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = []  # a package, with nothing to be found in it
    alias = types.ModuleType(ALIAS)
    vars(alias)[XpoSweeper.__name__] = XpoSweeper
    vars(sys.modules[package])[leaf] = sys.modules[ALIAS] = alias
    XpoSweeper.__module__ = ALIAS
    plugins.register(XpoSweeper)
    ConfigStore.instance().store(
        group="hydra/sweeper",
        name="xpo",
        node={"_target_": f"{ALIAS}.XpoSweeper", "processes": None, "params": {}},
        provider="xpo",
    )
