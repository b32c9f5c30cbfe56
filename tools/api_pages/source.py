"""Signatures, comments and docstrings of public names, as the pages of docs/api show them.

The sources are read, not imported: what is found is what stands there, and nothing heavy is loaded.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("w2s_probes", "extract", "analyses")
WIDTH = 100  # of a signature's line, beyond which each parameter has its own
Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Module:
    """A module's source, and what each of its names stands for."""

    name: str
    path: Path
    lines: list[str]
    definitions: dict[str, Definition]
    imports: dict[str, tuple[str, str]]  # name here: the module that it comes from, and its name there
    public: tuple[str, ...]  # __all__
    doc: str


@dataclass(frozen=True)
class Entry:
    """A public name with all that the page says of it."""

    name: str  # as it is imported, with its module
    kind: str  # class, function or value
    signature: str
    doc: str
    source: str  # path from the repository's root
    fields: list[tuple[str, str, str]] = field(default_factory=list)  # name, type, comment
    members: list["Entry"] = field(default_factory=list)

    @property
    def short(self) -> str:
        """The name alone."""
        return self.name.rpartition(".")[2]


@cache
def read(name: str) -> Module | None:
    """One of our modules; None for others'."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    stem = ROOT / name.replace(".", "/")
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    package = name if stem.is_dir() else name.rpartition(".")[0]
    definitions: dict[str, Definition] = {}
    imports: dict[str, tuple[str, str]] = {}
    public: tuple[str, ...] = ()
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imports[alias.asname or alias.name] = (_absolute(node, package), alias.name)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "__all__" and node.value is not None:
                public = tuple(ast.literal_eval(node.value))
            elif isinstance(target, ast.Name):
                definitions[target.id] = node
    return Module(name, path, text.splitlines(), definitions, imports, public, ast.get_docstring(tree) or "")


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module, and those that only type checkers see."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.body
        else:
            yield node


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that a statement imports from."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def find(module: str, name: str) -> tuple[Module, Definition] | None:
    """Where a name is defined that may have been imported from module to module; None if not by us."""
    home = read(module)
    if home is None:
        return None
    if name in home.definitions:
        return home, home.definitions[name]
    return find(*home.imports[name]) if name in home.imports else None


def entry(module: str, name: str) -> Entry:
    """What the page says of a name."""
    where = find(module, name)
    assert where is not None, f"{module}.{name} is nowhere"
    home, node = where
    full, source = f"{module}.{name}", str(home.path.relative_to(ROOT))
    if isinstance(node, ast.FunctionDef):
        return Entry(full, "function", _signature(name, node.args, node.returns), _doc(node), source)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        comment = _comment(home, node)
        return Entry(full, "value", _value(node), f"{comment[:1].upper()}{comment[1:]}.".strip("."), source)
    fields, members = _members(home, node)
    made = [f"{one}: {kind}{default}" for one, kind, _, default in fields if default != "-"]
    init = next((one for one in _own(node) if one.name == "__init__"), None)
    signature = _signature(name, init.args, None) if init else _folded(name, made, "")
    shown = [(one, kind, comment) for one, kind, comment, _ in fields]
    return Entry(full, "class", signature, _doc(node), source, shown, members)


def _members(home: Module, node: ast.ClassDef) -> tuple[list[tuple[str, str, str, str]], list[Entry]]:
    """Public fields (name, type, comment, default) and methods of a class, with those of our classes above it."""
    fields: dict[str, tuple[str, str, str, str]] = {}
    members: dict[str, Entry] = {}
    for above in node.bases:
        if isinstance(above, ast.Name) and (found := find(home.name, above.id)):
            outer, definition = found
            if isinstance(definition, ast.ClassDef):
                inherited, methods = _members(outer, definition)
                fields |= {one[0]: one for one in inherited}
                members |= {one.name: one for one in methods}
    # What scikit-learn's estimators declare in their class is found by a fit, and no parameter.
    has_init = any(one.name == "__init__" for one in _own(node)) or "BaseEstimator" in map(ast.unparse, node.bases)
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id[0] != "_":
            name = one.target.id
            default = (
                "-" if has_init or _made_later(one.value) else "" if one.value is None else f" = {_default(one.value)}"
            )
            fields[name] = (name, _typed(one.annotation), _comment(home, one), default)
        elif isinstance(one, ast.FunctionDef) and (one.name[0] != "_" or one.name == "__call__"):
            members[one.name] = _method(one, str(home.path.relative_to(ROOT)))
    return list(fields.values()), list(members.values())


def _own(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [one for one in node.body if isinstance(one, ast.FunctionDef)]


def _method(node: ast.FunctionDef, source: str) -> Entry:
    marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
    if marks & {"property", "cached_property"}:
        returns = _typed(node.returns) if node.returns else "Any"
        return Entry(node.name, "property", f"{node.name}: {returns}", _doc(node), source)
    kind = "class method" if "classmethod" in marks else "method"
    return Entry(node.name, kind, _signature(node.name, node.args, node.returns), _doc(node), source)


def _made_later(value: ast.expr | None) -> bool:
    """Whether a dataclass's field is none of its parameters."""
    return isinstance(value, ast.Call) and any(ast.unparse(one) == "init=False" for one in value.keywords)


def _default(value: ast.expr) -> str:
    """A field's default as it stands, but a factory's as what it makes."""
    made = {"field(default_factory=dict)": "{}", "field(default_factory=list)": "[]"}
    text = ast.unparse(value)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field" and value.args:
        return ast.unparse(value.args[0])  # pydantic's, with bounds after it
    return made.get(text, text)


def _signature(name: str, arguments: ast.arguments, returns: ast.expr | None) -> str:
    parameters: list[str] = []
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    parameters += map(_parameter, positional, defaults)
    if arguments.vararg:
        parameters.append("*" + _parameter(arguments.vararg, None))
    elif arguments.kwonlyargs:
        parameters.append("*")
    parameters += map(_parameter, arguments.kwonlyargs, arguments.kw_defaults)
    if arguments.kwarg:
        parameters.append("**" + _parameter(arguments.kwarg, None))
    if positional and positional[0].arg in ("self", "cls"):
        del parameters[0]
    return _folded(name, parameters, f" -> {_typed(returns)}" if returns else "")


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg + (f": {_typed(argument.annotation)}" if argument.annotation else "")
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}" if argument.annotation else f"{text}={ast.unparse(default)}"


def _folded(name: str, parameters: list[str], returns: str) -> str:
    line = f"{name}({', '.join(parameters)}){returns}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {one}," for one in parameters), f"){returns}"])


def _value(node: ast.Assign | ast.AnnAssign) -> str:
    text = ast.unparse(node)
    if len(text) <= WIDTH:
        return text
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    value = node.value
    if isinstance(value, ast.Dict):
        rows = [f"    {ast.unparse(k)}: {ast.unparse(v)}," for k, v in zip(value.keys, value.values, strict=True) if k]
        return "\n".join([f"{ast.unparse(target)} = {{", *rows, "}"])
    return re.sub(r", (?=['\"])", ",\n    ", text)


def _comment(home: Module, node: ast.stmt) -> str:
    """The comment at the end of a statement, or on lines of its own above it."""
    assert node.end_lineno is not None
    end = home.lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
    if "#" in end:
        return _without_pragma(end.partition("#")[2].strip())
    above: list[str] = []
    for line in reversed(home.lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip().lstrip("# "))
    return _without_pragma(" ".join(above))


def _without_pragma(comment: str) -> str:
    return re.sub(r"(noqa|type: ignore)\S*.*$", "", comment).strip(" #")


def _typed(annotation: ast.expr) -> str:
    """A type as it stands, without the quotes of names that are defined further down."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _doc(node: ast.ClassDef | ast.FunctionDef) -> str:
    return ast.get_docstring(node) or ""
