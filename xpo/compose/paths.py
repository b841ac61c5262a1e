"""Where configs and plugin code are found.

Config search path: the core's ``conf/``, then for each plugin its ``conf`` folder. A plugin is an
installed package (entry point group ``xpo.plugins``) or a folder dropped into ``plugins/`` of the
working directory, of ``$XPO_PLUGINS`` or of the source tree.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from xpo.compose.errors import ConfigError


@dataclass(frozen=True)
class Plugin:
    """One plugin: its name, its importable module and the folder that holds its yaml files."""

    name: str
    module: str
    package_dir: Path

    @property
    def conf(self) -> Path:
        return self.package_dir / "conf"


def core_conf() -> Path:
    """The folder of the core's yaml files, in a wheel or in a source tree."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise ConfigError(f"xpo's conf/ folder is missing beside {package}: the installation is broken")


@cache
def plugins() -> tuple[Plugin, ...]:
    """All plugins in reach; a dropped folder hides an installed package of the same module."""
    found: dict[str, Plugin] = {}
    for plugin in (*_dropped(), *_installed()):
        found.setdefault(plugin.module, plugin)
    return tuple(found.values())


def import_plugins() -> None:
    """Import every plugin's module, so that its components are registered."""
    for plugin in plugins():
        parent = str(plugin.package_dir.parent)
        if parent not in sys.path:
            sys.path.append(parent)
        try:
            importlib.import_module(plugin.module)
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"plugin {plugin.name!r} ({plugin.package_dir}) cannot be imported: "
                f"{type(error).__name__}: {error}. Mend it, or take it away."
            ) from error


def _installed() -> list[Plugin]:
    result = []
    for point in entry_points(group="xpo.plugins"):
        spec = importlib.util.find_spec(point.value)
        if spec is not None and spec.origin is not None:
            result.append(Plugin(point.name, point.value, Path(spec.origin).parent))
    return result


def _dropped() -> list[Plugin]:
    roots = [Path.cwd() / "plugins", core_conf().parent / "plugins"]
    if "XPO_PLUGINS" in os.environ:
        named = Path(os.environ["XPO_PLUGINS"])
        if not named.is_dir():
            raise ConfigError(f"$XPO_PLUGINS names no folder: {str(named)!r}; set it to one, or unset it")
        roots.insert(0, named)
    return [
        Plugin(folder.name, folder.name, folder)
        for root in dict.fromkeys(path.resolve() for path in roots)
        for folder in _packages(root)
    ]


def _packages(root: Path) -> list[Path]:
    """Packages with yaml files, then those without any, whose components need none, such as rules."""
    confs = sorted([*root.glob("*/conf"), *root.glob("*/*/conf"), *root.glob("*/src/*/conf")])
    found = [conf.parent for conf in confs if (conf.parent / "__init__.py").is_file()]
    inner = [*root.glob("*/*/__init__.py"), *root.glob("*/src/*/__init__.py")]
    plain = [*root.glob("*/__init__.py"), *(code for code in inner if not _belongs(code.parent))]
    return list(dict.fromkeys([*found, *sorted(code.parent for code in plain)]))


def _belongs(package: Path) -> bool:
    """Whether it is a part of another package, or a plugin's tests."""
    return package.name == "tests" or (package.parent / "__init__.py").is_file()
