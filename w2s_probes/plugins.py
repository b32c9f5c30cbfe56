"""Plugin files: Python that puts entries into registries, named in a recipe (`plugins`) or typed (`--plugin FILE`).

A plugin is one file; more than one file make a package, with entry points. Loading a plugin runs it.
"""

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from .checkout import on_path
from .errors import InputError
from .registries import REGISTRIES, Origin, running

GROUPS = ("probes", "losses", "methods", "readers", "exporters")  # in the order in which they are said
PREFIX = "w2s_plugin_"  # of the names of their modules


@dataclass(frozen=True)
class Plugin:
    """A plugin as it was when it was loaded."""

    path: Path
    code: str  # the SHA-256 of the file
    added: tuple[str, ...] = ()  # such as `loss gce`

    def __str__(self) -> str:
        here = Path.cwd()
        shown = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
        return f"plugin {shown}: adds {', '.join(self.added) or 'nothing'}"


_loaded: dict[str, Plugin] = {}  # by the names of their modules


def loaded_plugins() -> tuple[Plugin, ...]:
    """The plugins of this process."""
    return tuple(_loaded.values())


def load_plugins(paths: Iterable[Path | str]) -> list[Plugin]:
    """Load plugin files in turn: their entries are then in the registries.

    One that is loaded is loaded anew where its file has changed, in place of what it was. InputError of one line, with
    file and line, for one that is not there, cannot be run, or adds what a registry refuses; it then adds nothing.

    >>> load_plugins([])
    []
    """
    return [_load(Path(path).absolute()) for path in paths]


def load_same(plugins: Iterable[Plugin]) -> None:
    """Load, in a worker, the plugins of the process that sends it work; InputError where a file is another here."""
    for plugin in plugins:
        if _load(plugin.path).code != plugin.code:
            raise InputError(f"plugin {plugin.path}: has changed since the work began: give the same command again")


def _load(path: Path) -> Plugin:
    if path.suffix != ".py":
        raise InputError(f"plugin {path}: a plugin is a Python file, whose name ends in .py")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"plugin {path}: cannot be read ({error.strerror})") from error
    name, code = PREFIX + re.sub(r"\W", "_", path.stem), hashlib.sha256(text).hexdigest()
    earlier = _loaded.get(name)
    if earlier is not None and earlier.code == code:
        return earlier
    if earlier is not None and earlier.path != path:
        raise InputError(f"plugin {path}: {earlier.path} is loaded under the same name: rename one of the files")
    if earlier is not None:
        _forget(name, Origin(_source(path), earlier.code))
    return _run(path, text, name, Origin(_source(path), code))


def _run(path: Path, text: bytes, name: str, source: Origin) -> Plugin:
    on_path()  # plugins import `analyses`
    spec = spec_from_file_location(name, path)
    assert spec is not None  # of a file that ends in .py
    module = sys.modules[name] = module_from_spec(spec)
    try:
        with running(source):
            exec(compile(text, str(path), "exec"), vars(module))  # the very text that was hashed
    except InputError:
        _forget(name, source)
        raise
    by_group = {registry.group: registry for registry in REGISTRIES}
    registries = [by_group[group] for group in sorted(by_group, key=(*GROUPS, *by_group).index)]
    added = tuple(f"{registry.one} {entry}" for registry in registries for entry in registry.of_source(source))
    _loaded[name] = Plugin(path, str(source.code), added)
    return _loaded[name]


def _forget(name: str, source: Origin) -> None:
    _loaded.pop(name, None)
    sys.modules.pop(name, None)
    for registry in REGISTRIES:
        registry.forget(source)


def _source(path: Path) -> str:
    return f"plugin {path}"
