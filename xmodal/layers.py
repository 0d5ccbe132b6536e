"""Reads the settings: which value wins, where it came from, and which home it means.

Contract: `load_settings` gives the tree, `origins` says who set each value, `resolve_home`
gives the absolute folder that holds the shop.
"""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from xmodal.errors import HomeError, SettingsError
from xmodal.settings import Settings, field_names

_PREFIX = "XMODAL_"
_Values = dict[str, object]
Sets = Sequence[str | tuple[str, str]]  # `a.b=c` as typed after --set, or a flag's own (name, text)


def load_settings(
    config: Path | None, sets: Sets = (), environ: Mapping[str, str] | None = None
) -> Settings:
    """The tree of defaults, `config`, `XMODAL_*` and `sets`, each over the last.

    A knob that holds text takes the text of a variable or of `--set` as it stands, so a folder
    may be called `007` or `~`; empty text is none. Other values are read as YAML.

    Raises:
        SettingsError: an unreadable file, an unknown key (the nearest is named), a bad value.
    """
    values, sources = _layered(config, sets, environ)
    tree: _Values = {}
    for key, value in values.items():
        _put(tree, key, value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        source = next((s for k, s in sources.items() if name == k or name.startswith(k + ".")), "?")
        raise SettingsError(
            f"{source}: {name}: {first['msg']} (it is {first['input']!r})"
        ) from error


def origins(
    config: Path | None, sets: Sets = (), environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Who set each knob: `default`, the config's name, the variable's, `--set` or `flag`."""
    _, sources = _layered(config, sets, environ)
    return {key: sources.get(key, "default") for key in _known()}


def flatten(settings: Settings) -> dict[str, object]:
    """Dotted name to value of every knob; the tuning space is one JSON-like list."""
    return dict(_leaves(settings.model_dump(mode="json")))


def resolve_home(
    settings: Settings, config: Path | None, environ: Mapping[str, str] | None = None
) -> Path:
    """The absolute folder of the shop: `XMODAL_HOME`, else `home`, else the checkout's own.

    Raises:
        HomeError: nothing names a home, or a submitted job's home is not absolute.
    """
    environ = os.environ if environ is None else environ
    given = environ.get("XMODAL_HOME") or settings.home
    if given and "://" in given:
        raise HomeError(f"home {given}: must be a folder that is mounted here, not a URI")
    if _is_submitted(environ) and not (given and Path(given).is_absolute()):
        raise HomeError(
            "a submitted job needs an absolute XMODAL_HOME: add --runtime-env-json"
            ' \'{"env_vars": {"XMODAL_HOME": "/shared/my-shop"}}\''
        )
    if given:
        return Path(given).expanduser().resolve()
    if config is None:
        raise HomeError("no home: give --config FILE or set XMODAL_HOME=<folder>")
    return Path(__file__).resolve().parents[1] / ".xmodal" / config.stem


def _is_submitted(environ: Mapping[str, str]) -> bool:
    """Whether Ray's job server started this process, from its package cache."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in environ or "_ray_pkg_" in os.getcwd()


def _layered(
    config: Path | None, sets: Sets, environ: Mapping[str, str] | None
) -> tuple[_Values, dict[str, str]]:
    """Dotted name to value, and to the layer that gave it."""
    values: _Values = {}
    sources: dict[str, str] = {}
    layers = [_from_file(config), _from_environment(os.environ if environ is None else environ)]
    layers.append(_from_sets(sets))
    for layer in layers:
        for key, value, source in layer:
            _check(key, source)
            values[key], sources[key] = value, source
    return values, sources


def _from_file(config: Path | None) -> Iterator[tuple[str, object, str]]:
    if config is None:
        return
    try:
        tree = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{config}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{config}: is not YAML ({reason})") from error
    if not isinstance(tree, dict | None):
        raise SettingsError(f"{config}: must hold settings such as `training:`, not a {type(tree)}")
    for key, value in _leaves(tree or {}):
        yield key, value, str(config)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for name, text in sorted(environ.items()):
        if name.startswith(_PREFIX):
            key = name.removeprefix(_PREFIX).lower().replace("__", ".")
            yield key, _parsed(key, text, name), name


def _from_sets(sets: Sets) -> Iterator[tuple[str, object, str]]:
    for item in sets:
        if not isinstance(item, str):
            yield *item, "flag"
            continue
        key, equals, text = item.partition("=")
        if not equals:
            raise SettingsError(f"--set {item}: must look like training.epochs=3")
        yield key.strip(), _parsed(key.strip(), text, f"--set {item}"), "--set"


def _parsed(key: str, text: str, source: str) -> object:
    if _kind(key) in (str, str | None):
        return text or None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{source}: {text!r} is not a value that YAML can read") from error


def _leaves(tree: Mapping[Any, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in _known():
            yield from _leaves(value, f"{key}.")
        elif value is not None or key in _known():
            yield key, value


def _check(key: str, source: str) -> None:
    known = _known()
    if key in known:
        return
    if any(name.startswith(key + ".") for name in known):
        raise SettingsError(f"{source}: {key} is a group of settings; name one of them")
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    tail = key.rsplit(".", 1)[-1]
    same_tail = [name for name in known if name.rsplit(".", 1)[-1] == tail]
    raise SettingsError(f"{source}: unknown setting {key}; did you mean {(same_tail + near)[0]}?")


def _known() -> list[str]:
    """Names that a layer may set: every knob, with the tuning space as one."""
    names = [name.partition("[]")[0] for name in field_names()]
    return list(dict.fromkeys(names))


def _kind(key: str) -> object:
    """The type of a knob; None where there is no such knob."""
    kind: object = Settings
    for name in key.split("."):
        fields: Mapping[str, Any] = getattr(kind, "model_fields", {})
        kind = fields[name].annotation if name in fields else None
    return kind


def _put(tree: _Values, key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        branch = tree.setdefault(parent, {})
        assert isinstance(branch, dict)
        tree = branch
    tree[last] = value
