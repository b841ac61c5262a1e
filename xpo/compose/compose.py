"""Overrides to a resolved, plain config, through Hydra. No torch here."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from xpo.compose.errors import ConfigError, did_you_mean
from xpo.compose.hydra_glue import prepare_hydra
from xpo.compose.paths import core_conf, plugins
from xpo.compose.yaml_file import broken_yaml, load_yaml


def compose_config(overrides: list[str]) -> dict[str, Any]:
    """The resolved config for command-line overrides, as plain containers.

    Raises ``ConfigError`` for an unknown option or key, a bad override, or a preset value that
    belongs to no option.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    from xpo.compose.hints import explain_hydra_error
    from xpo.compose.overrides import check_choices

    prepare_hydra()
    kept = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        check_choices(overrides)
        with initialize_config_dir(str(core_conf()), version_base="1.3"):
            return resolve(compose("config", overrides))
    except YAMLError as error:
        raise broken_yaml(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain_hydra_error(error, overrides)) from error
    finally:
        if kept is not None:
            GlobalHydra.instance().hydra = kept


def resolve(config: DictConfig) -> dict[str, Any]:
    """A composed config with every interpolation resolved and every ``hp`` entry accounted for."""
    check_hp(config)
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    return {str(key): value for key, value in plain.items()}


def check_hp(config: DictConfig) -> None:
    """Every ``hp.<group>.<option>.<key>`` must name a key of an option that exists and reads it."""
    for group in _keys(config, "hp"):
        known = options_of(group)
        if not known:
            raise ConfigError(f"hp.{group}: there is no group {group!r}.{did_you_mean(group, config)}")
        for option in _keys(config, f"hp.{group}"):
            if option not in known:
                raise ConfigError(f"hp.{group}.{option}: no such option.{did_you_mean(option, known)}")
            for key in _keys(config, f"hp.{group}.{option}"):
                if key not in known[option]:
                    raise ConfigError(
                        f"hp.{group}.{option}.{key}: no such key.{did_you_mean(key, known[option])}"
                    )
                if not known[option][key]:
                    raise ConfigError(
                        f"hp.{group}.{option}.{key} is not read: the key has a value of its own in "
                        f"conf/{group}/{option}.yaml (${{hp:...}} would take it); set {group}.{key}"
                    )


def _keys(config: DictConfig, address: str) -> list[str]:
    """The keys there, none for null. ``ConfigError`` for a value in the place of keys."""
    found = OmegaConf.select(config, address)
    if not isinstance(found, DictConfig | None):
        raise ConfigError(f"{address} must hold keys with values, got {found!r}: hp.<group>.<option>.<key>")
    return list(found or ())


def options_of(group: str) -> dict[str, dict[str, bool]]:
    """Option name -> keys, and whether a yaml file of the group, also a plugin's, reads ``hp`` for them."""
    found: dict[str, dict[str, bool]] = {}
    for root in (core_conf(), *(plugin.conf for plugin in plugins())):
        for path in sorted((root / group).glob("*.yaml")):
            node = load_yaml(path)
            node = node.get(group, node)  # a file of the global package holds its option one level down
            keys = found.setdefault(str(node.get("name", path.stem)), {})
            for key, value in node.items():
                keys[str(key)] = keys.get(str(key), False) or str(value).startswith("${hp")
    return found


def option_files(group: str) -> list[str]:
    """What can stand behind ``<group>=`` on the command line, sorted."""
    roots = (core_conf(), *(plugin.conf for plugin in plugins()))
    return sorted({path.stem for root in roots for path in (root / group).glob("*.yaml")})


def presets() -> list[str]:
    """Every method that ``algo=`` takes."""
    return option_files("algo")
