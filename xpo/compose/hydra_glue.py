"""What Hydra needs to know about xpo: search path, resolvers, sweeper. No torch here."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from xpo.compose.paths import plugins
from xpo.sweep.register import register as register_sweeper


class XpoSearchPath(SearchPathPlugin):
    """Adds each plugin's conf folder behind the core's, by path, so that no plugin code is imported."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin in plugins():
            search_path.append(provider=f"plugin:{plugin.name}", path=f"file://{plugin.conf}")


def _hp(default: Any, *, _node_: Any, _parent_: Any, _root_: Any) -> Any:
    """A preset's value for exactly this group, option and key, else the option's own default."""
    address = f"hp.{_parent_._key()}.{_parent_.name}.{_node_._key()}"
    value = OmegaConf.select(_root_, address)
    return default if value is None else value


def _hp_unless(sibling: str, default: Any, *, _node_: Any, _parent_: Any, _root_: Any) -> Any:
    """``hp`` for one of two exclusive keys: null where its sibling was given a value."""
    if OmegaConf.select(_parent_, sibling) is not None:
        return None
    return _hp(default, _node_=_node_, _parent_=_parent_, _root_=_root_)


def slug(text: str) -> str:
    """A short, safe folder name for a list of overrides: 80 characters, then a hash."""
    clean = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", text).strip("-")
    if len(clean) <= 80:
        return clean or "run"
    return f"{clean[:71]}-{hashlib.sha1(text.encode()).hexdigest()[:8]}"


@cache
def prepare_hydra() -> None:
    """Register the resolvers and the search path, once per process and before Hydra starts."""
    OmegaConf.register_new_resolver("hp", _hp, replace=True)
    OmegaConf.register_new_resolver("hp_unless", _hp_unless, replace=True)
    OmegaConf.register_new_resolver("xpo.slug", slug, replace=True)
    Plugins.instance().register(XpoSearchPath)
    register_sweeper()
