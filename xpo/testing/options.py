"""Every option that stands in a conf folder, the core's and the plugins', made from its yaml alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from xpo import registry
from xpo.compose.hydra_glue import prepare_hydra
from xpo.compose.paths import core_conf, import_plugins, plugins
from xpo.compose.typed import fit


@dataclass(frozen=True)
class Option:
    """One yaml file of one group."""

    group: str
    path: Path

    def __str__(self) -> str:
        return f"{self.group}={self.path.stem}"

    def values(self) -> dict[str, Any]:
        """The file's keys with every default resolved, as without a preset."""
        prepare_hydra()
        config = OmegaConf.create({self.group: OmegaConf.load(self.path)})
        node = OmegaConf.to_container(config[self.group], resolve=True)
        assert isinstance(node, dict)
        return {str(key): value for key, value in node.items()}

    @property
    def component(self) -> Any:
        """The class that the file names."""
        return registry.component(self.group, self.values()["name"])

    def make(self) -> Any:
        """The component. Raises as a run would when the file and the component's fields disagree."""
        values = self.values()
        cls = registry.component(self.group, values.pop("name"))
        kinds = get_type_hints(cls)
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise AssertionError(f"{self.path} sets {sorted(unknown)}, which {cls.__name__} does not have")
        return cls(**{key: fit(value, kinds[key]) for key, value in values.items()})


def options(*groups: str) -> list[Option]:
    """All options of these groups, plugins' included."""
    import_plugins()
    roots = [core_conf(), *(plugin.conf for plugin in plugins())]
    return [
        Option(group, path)
        for group in groups
        for root in roots
        for path in sorted((root / group).glob("*.yaml"))
    ]
