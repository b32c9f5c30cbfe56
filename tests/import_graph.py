"""Which module of the three packages imports which, read from the text: also inside functions, and for types alone."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from tests.conftest import ROOT

PACKAGES = ("w2s_probes", "extract", "analyses")

Graph = Mapping[str, frozenset[str]]  # from a module, or a room, to those that it imports


@cache
def modules() -> Mapping[str, Path]:
    """The file of every module by its dotted name; a package's `__init__` has the package's name."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {_name(file.relative_to(ROOT)): file for file in files}


@cache
def imports(*, type_checking: bool = True) -> Graph:
    """By module those of the tree that it imports, inside functions too; with those for types alone if they count."""
    return {name: frozenset(_imported(name, file, type_checking)) for name, file in modules().items()}


def rooms(graph: Graph) -> Graph:
    """The graph of the folders: which one has a module that imports from which other one."""
    found: dict[str, set[str]] = {}
    for name, others in graph.items():
        found.setdefault(_room(name), set()).update(_room(other) for other in others)
    return {room: frozenset(others - {room}) for room, others in found.items()}


def cycles(graph: Graph) -> list[tuple[str, ...]]:
    """The sets of modules, or rooms, that import each other in a circle, sorted; [] where there is none."""
    names = sorted(graph)
    number = {name: i for i, name in enumerate(names)}
    arrows = [(number[name], number[other]) for name in names for other in graph[name] if other in number]
    starts, ends = np.array(arrows, dtype=np.intp).reshape(-1, 2).T
    matrix = csr_array((np.ones(len(arrows)), (starts, ends)), shape=(len(names), len(names)))
    count, component = connected_components(matrix, directed=True, connection="strong")
    members = [tuple(name for name, c in zip(names, component, strict=True) if c == i) for i in range(count)]
    return sorted(group for group in members if len(group) > 1)


def classes() -> list[tuple[str, str]]:
    """Name and module of every class at the top of a module."""
    return [(one, name) for name, file in modules().items() for one in _read(file).classes]


def _name(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str:
    """The folder of a module."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


@dataclass(frozen=True)
class _Read:
    """What is asked of a file, which is parsed once: its tree would take a hundred times the room."""

    classes: list[str]  # at the top
    imports: list[tuple[ast.Import | ast.ImportFrom, bool]]  # with whether they are for types alone


@cache
def _read(file: Path) -> _Read:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return _Read([node.name for node in tree.body if isinstance(node, ast.ClassDef)], list(_nodes(tree.body, False)))


def _imported(name: str, file: Path, type_checking: bool) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node, for_types in _read(file).imports:
        if for_types and not type_checking:
            continue
        if isinstance(node, ast.Import):
            yield from _known(alias.name for alias in node.names)
        else:
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:  # a module of the package, or what the package's own file holds
                yield from _known([f"{source}.{alias.name}"]) or _known([source])


def _nodes(body: Iterable[ast.AST], for_types: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The imports among these statements and in those that they hold; no expression holds one."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, for_types
        elif isinstance(node, ast.If):
            types = for_types or ast.unparse(node.test).endswith("TYPE_CHECKING")
            yield from _nodes(node.body, types)
            yield from _nodes(node.orelse, for_types)
        else:
            for held in ("body", "handlers", "orelse", "finalbody", "cases"):
                yield from _nodes(getattr(node, held, ()), for_types)


def _known(names: Iterable[str]) -> list[str]:
    return [name for name in names if name in modules()]
