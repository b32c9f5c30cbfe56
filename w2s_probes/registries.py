"""Registries: entries by name, the package's own beside those of installed packages and of plugin files.

An installed package adds to one by an entry point of the group `w2s_probes.NAME` (probes, losses, methods, readers,
exporters); a plugin file, a notebook and a program by `REGISTRY[name] = entry`. Packages are looked through when a
list, or a name that is not ours, is first asked for, and what they add is imported when it is.
"""

import hashlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .errors import InputError, whole_reason

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Entry = TypeVar("Entry")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Origin:
    """The place that an entry comes from."""

    name: str  # in messages
    code: str | None = None  # a hash of its files, for the keys of what its entries make; None: of the code elsewhere


OWN, PROGRAM = Origin("w2s-probes"), Origin("this program")
REGISTRIES: "list[Registry[Any]]" = []
_running: list[Origin] = []  # whose code is being imported, the innermost last


class Registry(MutableMapping[str, Entry]):
    """Entries by name, in the order of lists: our own, those that were put in, those of installed packages.

    An assignment replaces an entry, but not while a plugin is loaded: a name that is taken is then an InputError which
    names both sources. InputError, too, for an entry of the wrong shape, and for a package that cannot be imported.

    >>> shouts = Registry("shouts", "shout", {"loud": str.upper})
    >>> shouts["long"] = lambda text: text * 2
    >>> list(shouts), shouts.is_own("long")
    (['loud', 'long'], False)
    """

    def __init__(
        self,
        group: str,
        one: str,
        own: Mapping[str, Any] | None = None,
        *,
        package: str = "",
        fault: Callable[[str, Any], str | None] | None = None,
    ) -> None:
        """A registry of the entry points `w2s_probes.GROUP`; messages call an entry `one`.

        An own entry may be the text `module:name` of `package`, which is imported when it is asked for. `fault` says
        what is wrong with an entry under a name, or None.
        """
        self.group, self.one = group, one
        self._own: dict[str, Any] = dict(own or {})
        self._given: dict[str, tuple[Entry, Origin]] = {}
        self._rules: list[tuple[Registry[Any], Mapping[str, Callable[[str], Entry]]]] = []
        self._leads: list[tuple[Registry[Any], Collection[str]]] = []  # what derives from this, by rules so called
        self._points: dict[str, EntryPoint] | None = None  # of installed packages; None: not looked for yet
        self._package, self._fault = package, fault
        REGISTRIES.append(self)

    def __ior__(self, entries: Mapping[str, Entry]) -> Self:
        """Put entries in, as one by one."""
        self.update(entries)
        return self

    def fill(self, own: Mapping[str, Entry]) -> None:
        """Add entries of the package's own; for the package alone."""
        self._own |= own

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the package's own entries."""
        return tuple(self._own)

    @property
    def loaded(self) -> dict[str, Entry]:
        """Our own and what was put in; of packages what was asked for already. Nothing is imported for that."""
        return {**self._own, **{name: entry for name, (entry, _) in self._given.items()}}

    def derive(self, origin: "Registry[Any]", rules: Mapping[str, Callable[[str], Entry]]) -> None:
        """Have entries that follow from each that somebody adds to another registry, as it is when they are asked for.

        A rule makes one of that entry's name, which stands for {} in its own. InputError where a name is taken.
        """
        for name in set(origin._given).difference(origin._own):
            origin._refuse_followers(name, self, rules)
        self._rules.append((origin, rules))
        origin._leads.append((self, rules))

    def _derived(self) -> dict[str, Callable[[], Entry]]:
        return {
            rule.format(name): partial(make, name)
            for origin, rules in self._rules
            for name in origin
            if name not in origin._own
            for rule, make in rules.items()
        }

    def __getitem__(self, name: str) -> Entry:
        if name in self._given:
            return self._given[name][0]
        if name in self._own:
            entry = self._own[name]
            if isinstance(entry, str):
                entry = self._own[name] = named(entry, self._package)
            return entry  # type: ignore[no-any-return]
        if name in (derived := self._derived()):
            return derived[name]()
        if (point := self._installed().get(name)) is None:
            raise KeyError(name)
        return self._loaded(point)

    def __setitem__(self, name: str, entry: Entry) -> None:
        if self._own.get(name) is entry:  # put back
            self._given.pop(name, None)
            return
        source = _running[-1] if _running else PROGRAM
        if _running and (other := self._source(name)) is not None:
            raise self._doubled(name, other, source.name)
        self._refuse(name, entry)
        self._given[name] = entry, source

    def __delitem__(self, name: str) -> None:
        """Take out what was put in; our own entries and those of packages stay."""
        del self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *self._given, *self._derived(), *self._installed()]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Whether there is one; nothing is imported for that."""
        return isinstance(name, str) and self._source(name) is not None

    def is_own(self, name: str) -> bool:
        """Whether it is the package's own, or follows from other registries, and not one that was put in or added."""
        return name not in self._given and (name in self._own or name not in self._installed())

    def is_known_to_workers(self, name: str) -> bool:
        """Whether other processes have it: not so what this program has put in by itself."""
        return name not in self._given or self._given[name][1] is not PROGRAM

    def code(self, name: str) -> str | None:
        """A hash of the files of the plugin or the package that an entry is from; None for all others."""
        if name not in self._given and name not in self._own and name in self._installed():
            self._loaded(self._installed()[name])
        return self._given[name][1].code if name in self._given else None

    def of_source(self, source: Origin) -> list[str]:
        """The names that a source has added."""
        return [name for name, (_, of) in self._given.items() if of == source]

    def forget(self, source: Origin) -> None:
        """Take out all that a source has added."""
        for name in self.of_source(source):
            del self._given[name]

    def _source(self, name: str) -> str | None:
        """What has this name; None where nothing has."""
        if (here := self._source_here(name)) is not None:
            return here
        point = self._installed().get(name)
        return None if point is None else source_name(point)

    def _source_here(self, name: str) -> str | None:
        """The same without the packages from which nothing was asked for."""
        if name in self._given:
            return self._given[name][1].name
        return OWN.name if name in self._own or name in self._derived() else None

    def _installed(self) -> "dict[str, EntryPoint]":
        """The entry points of installed packages by name; InputError for a name that two sources have."""
        if self._points is None:
            points: dict[str, EntryPoint] = {}
            for point in installed(self.group):
                other = source_name(points[point.name]) if point.name in points else self._source_here(point.name)
                if other not in (None, PROGRAM.name):
                    raise self._doubled(point.name, other, source_name(point))
                points[point.name] = point
            self._points = points
        return self._points

    def _loaded(self, point: "EntryPoint") -> Entry:
        """The entry of a package, which is imported now."""
        where = source_name(point)
        with running(Origin(where)):
            entry: Entry = point.load()
            self._refuse(point.name, entry)
        self._given[point.name] = entry, Origin(where, package_code(point.module))
        return entry

    def _refuse(self, name: str, entry: Entry) -> None:
        if self._fault is not None and (fault := self._fault(name, entry)) is not None:
            raise InputError(f"{self.one} {name!r}: {fault}")
        if name not in self._own and name not in self._given:
            for other, rules in self._leads:
                self._refuse_followers(name, other, rules)

    def _refuse_followers(self, name: str, other: "Registry[Any]", rules: Collection[str]) -> None:
        for follower in (rule.format(name) for rule in rules):
            if follower in other._own or follower in other._given or follower in other._installed():
                raise InputError(
                    f"{self.one} {name!r}: {other.one} {follower!r} follows from it, and there is one: rename one"
                )

    def _doubled(self, name: str, one: str | None, other: str) -> InputError:
        return InputError(f"{self.one} {name!r}: {one} and {other} both have one of that name: rename one of them")


def named(where: str, package: str) -> Any:
    """What `module:name` of a package is."""
    module, _, attribute = where.partition(":")
    return getattr(import_module(f".{module}" if package else module, package or None), attribute)


@cache
def installed(group: str) -> "tuple[EntryPoint, ...]":
    """The entry points of installed packages in the group `w2s_probes.GROUP`, found once a process."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=f"w2s_probes.{group}"))


def installed_packages() -> list[str]:
    """The names of the installed packages that add to a registry."""
    points = [point for registry in REGISTRIES for point in installed(registry.group)]
    return sorted({point.dist.name for point in points if point.dist is not None})


def source_name(point: "EntryPoint") -> str:
    """A package as messages name it."""
    package = "a package" if point.dist is None else f"package {point.dist.name} {point.dist.version}"
    return f"{package} ({point.value})"


def package_code(module: str) -> str:
    """A hash of all Python files of the package that an imported module is in, or of its own file."""
    top = sys.modules[module.partition(".")[0]]
    folders = [Path(folder) for folder in getattr(top, "__path__", ())]
    files = [(file.relative_to(folder), file) for folder in folders for file in sorted(folder.rglob("*.py"))]
    if not folders and top.__file__ is not None:
        files = [(Path(top.__name__), Path(top.__file__))]
    digest = hashlib.sha256()
    for name, file in files:
        digest.update(f"{name.as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@contextmanager
def running(source: Origin) -> Iterator[None]:
    """A block that imports somebody's code: what goes wrong in it is an InputError of one line, with file and line."""
    _running.append(source)
    try:
        yield
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {whole_reason(error)}"
        raise InputError(f"{source.name}{_line(error, source)}: {said}") from error
    finally:
        _running.pop()


def _line(error: BaseException, source: Origin) -> str:
    """Where in somebody's code an error came from, unless the source's name is its file: then its line alone."""
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    else:
        frames = [frame for frame in extract_tb(error.__traceback__) if _is_foreign(frame.filename)]
        if not frames:
            return ""
        file, line = frames[-1].filename, frames[-1].lineno
        if own := [frame for frame in frames if source.name.endswith(frame.filename)]:
            file, line = own[-1].filename, own[-1].lineno
    return f", line {line}" if source.name.endswith(file) else f", {file}, line {line}"


def _is_foreign(file: str) -> bool:
    """Whether a file is neither ours nor what imports it."""
    return not (file.startswith("<") or Path(file).is_relative_to(FOLDER) or "importlib" in Path(file).parts)
