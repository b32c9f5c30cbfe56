"""Reading recipes: a TOML file, settings on top of it, paths made absolute, and ladders and variants spelt out."""

import copy
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import Field

from extract.templates import is_template_name
from w2s_probes.errors import InputError, reason, shortened
from w2s_probes.io.files import is_address, refused_address
from w2s_probes.io.readers import readable
from w2s_probes.io.validated import parse_toml, read_toml, validated, wants_list, with_lists
from w2s_probes.plugins import load_plugins
from w2s_probes.redaction import is_secret

from .schema import Recipe
from .section import Section

RECIPES = Path(__file__).parent.parent / "recipes"
# Folders that a run makes, or keeps its cache in.
OF_RUNS = ("activations", "curves", "debates", "filters", "kept", "labels", "predictions", "students")
PLUGINS = "plugins"  # the key of files that are loaded before a recipe is checked
# Keys whose values are paths, or names that one may stand for.
TEMPLATES = ("template", "chat_template")  # "own" and "none" are no files
PATHS = ("model", "models", "weak_model", "base", "experts", "folder", "file", *TEMPLATES, "prompts", "tasks", "task")
TASK_FILE = ".toml"  # the ending that tells a task file's path from the name of a task
TESTS = ("data", "tests")  # the table whose values are files, or names of tasks
LADDER, VARIANTS = "ladder", "variants"
MOST_TABLES = 10  # in each other: recipes have four


Tell = Callable[[object], None]


def untold(plugin: object) -> None:
    """Say nothing."""


class Ladder(Section):
    """Models from the weakest to the strongest: every pair of them is an experiment."""

    models: list[str] = Field(min_length=2)


def named_recipe(name: Path | str) -> Path | None:
    """The file of a recipe that comes along, by its name; None where a file here is called so, or none is.

    A folder is no recipe, so that the output folder of `w2s run demo --out demo` hides nothing.
    """
    path = RECIPES / f"{name}.toml"
    return path if len(Path(name).parts) == 1 and not Path(name).is_file() and path.is_file() else None


def read_recipe(path: Path | str, settings: Sequence[str] = (), tell: Tell = untold) -> Recipe:
    """A recipe of one pair of models; see `read_recipes`."""
    recipes = read_recipes(path, settings, tell)
    if len(recipes) > 1:
        raise InputError(f"{path}: {len(recipes)} recipes, of a ladder or of variants; one is wanted here")
    (recipe,) = recipes.values()
    return recipe


def read_recipes(path: Path | str, settings: Sequence[str] = (), tell: Tell = untold) -> dict[str, Recipe]:
    """The recipes of a TOML file by pair of models and variant, or one without a name where it has neither.

    `path` may be the name of a recipe that comes along, such as demo. `settings` are `table.key=value`, on top of the
    file; of a list they may be `key=one,two`. A list of one value may stand without brackets, in both. Paths in the
    file are relative to the file, those in settings to the working directory. $NAME is an environment variable.
    The recipe's `plugins` are loaded, which runs them, and each is told. InputError for a key or value that no recipe
    has.
    """
    path = named_recipe(path) or Path(path)
    if not path.is_file():
        names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
        if is_address(path):
            raise refused_address(path)
        raise InputError(f"{path}: no such recipe; the ones that come along are {names}, in {RECIPES}")
    values = read_toml(path)
    overridden = {_override(values, setting) for setting in settings}
    with_lists(Recipe, values)
    for keys, table in _tables(values):
        tests = (keys[2:] if keys[:1] == (VARIANTS,) else keys)[:2] == TESTS
        for key in (*PATHS, *(table if tests else ())):
            given = any((*keys, key)[: len(setting)] == setting for setting in overridden)
            start = Path.cwd() if given else path.parent
            where = f"{path}: {'.'.join((*keys, key))}"
            if isinstance(table.get(key), str):
                if (tests or key == "task") and not table[key].endswith((TASK_FILE, *readable())):
                    continue  # a task's name
                if key in TEMPLATES and is_template_name(table[key]):
                    continue
                table[key] = _resolved(table[key], start, where)
            elif isinstance(table.get(key), list):
                table[key] = [
                    _resolved(one, start, where)
                    if isinstance(one, str) and (key != "tasks" or one.endswith(TASK_FILE))
                    else one
                    for one in table[key]
                ]
    for table in (values, *_tables_of(values.get(VARIANTS))):
        _load(table, path.parent if (PLUGINS,) not in overridden else Path.cwd(), str(path), tell)
    recipes: dict[str, Recipe] = {}
    for variant, varied in _varied(values, str(path), overridden):
        where = f"{path}: variant {variant!r}" if variant else str(path)
        for pair, one in _pairs(varied, where) if LADDER in varied else [("", varied)]:
            recipes["--".join(filter(None, (variant, pair)))] = validated(Recipe, one, where)
    return recipes


def _tables_of(variants: Any) -> list[dict[str, Any]]:
    return [one for one in variants.values() if isinstance(one, dict)] if isinstance(variants, dict) else []


def _load(table: dict[str, Any], start: Path, where: str, tell: Tell) -> None:
    """Load the plugins of a recipe or a variant, whose paths are made absolute, in place."""
    named = table.get(PLUGINS, [])
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise InputError(f'{where}: plugins must be a list of files: plugins = ["my_methods.py"]')
    if named:
        table[PLUGINS] = [str((start / _resolved(one, start, f"{where}: {PLUGINS}")).resolve()) for one in named]
        for plugin in load_plugins(table[PLUGINS]):
            tell(plugin)


def _varied(
    values: dict[str, Any], where: str, overridden: Collection[tuple[str, ...]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A recipe's variants: each has some of its tables and keys in place of those of the recipe.

    What `--set` gave for the recipe is given for every variant, unless it gave that variant another value.
    """
    variants = values.pop(VARIANTS, None)
    if variants is None:
        yield "", values
        return
    if not isinstance(variants, dict) or not all(isinstance(one, dict) for one in variants.values()) or not variants:
        raise InputError(f"{where}: variants must be tables: [variants.NAME.weak] kind = ..., and so on")
    for name, changed in variants.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise InputError(
                f"{where}: variants.{name!r}: a variant is a folder: name it by letters, digits, '.', '-', '_'"
            )
        if name in OF_RUNS:
            raise InputError(f"{where}: variants.{name}: a run has a folder of that name: give another one")
        varied = copy.deepcopy(values) | copy.deepcopy(changed)
        for keys in overridden:
            of_this = any(other[: len(keys) + 2] == (VARIANTS, name, *keys) for other in overridden)
            if keys[0] != VARIANTS and not of_this:
                _put(varied, keys, copy.deepcopy(_at(values, keys)))
        with_lists(Recipe, varied)
        yield name, varied


def _pairs(values: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A ladder's recipes, each with its weak and its strong model filled in."""
    ladder = values.pop(LADDER)
    if not isinstance(ladder, dict):
        raise InputError(f"{where}: ladder must be a table: [ladder] models = [...]")
    models = validated(Ladder, ladder, f"{where}: ladder").models
    names = [Path(model).name for model in models]
    if len(set(names)) < len(names):
        raise InputError(f"{where}: ladder.models names something twice: {', '.join(names)}")
    for weak, strong in combinations(range(len(models)), 2):
        pair = copy.deepcopy(values)
        for role, model in (("weak", models[weak]), ("strong", models[strong])):
            table = pair.setdefault(role, {})
            if not isinstance(table, dict) or "model" in table:
                raise InputError(f"{where}: {role}.model and a ladder exclude each other: leave {role}.model out")
            table["model"] = model
        yield f"{names[weak]}--{names[strong]}", pair


def _tables(values: dict[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every table in a TOML document, with its path; the tables of an array share one."""
    yield keys, values
    for key, value in values.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _tables(inner, (*keys, key))


def _override(values: dict[str, Any], setting: str) -> tuple[str, ...]:
    """Apply one `table.key=value`; the value is TOML, or a plain string where it is not.

    Where the recipe wants a list, what is no TOML is the values between its commas, each of them TOML or a string.
    """
    name, equals, text = setting.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not name or len(keys) > MOST_TABLES:
        raise InputError(f"--set {shortened(setting)}: write it as table.key=value, for example data.n_train=1000")
    try:
        value = _value(text)
        if isinstance(value, str) and value == text and wants_list(Recipe, keys[2:] if keys[0] == VARIANTS else keys):
            if text.lstrip().startswith("["):
                raise InputError(f"--set {shortened(setting)}: write a list as {keys[-1]}=one,two")
            value = [_value(one.strip()) for one in text.split(",")]
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--set {shortened(setting)}: {reason(error)}") from error
    try:
        _put(values, keys, value)
    except InputError as error:
        raise InputError(f"--set {shortened(setting)}: {error}") from error
    return keys


def _put(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set one key of nested tables; InputError where one of them is no table."""
    table = values
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"{key!r} is not a table")
    table[keys[-1]] = value


def _at(values: dict[str, Any], keys: Sequence[str]) -> Any:
    """The value of one key of nested tables."""
    table = values
    for key in keys:
        table = table[key]
    return table


def _value(text: str) -> Any:
    """A value that is TOML, or a plain string."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _resolved(text: str, start: Path, where: str) -> str:
    """Variables filled in; a relative folder that exists, or is written with a leading dot, made absolute."""
    variables = re.findall(r"\$\{?(\w+)\}?", text)
    if secret := [name for name in variables if is_secret(name)]:
        raise InputError(
            f"{where}: ${secret[0]} is secret by its name, and a run keeps its recipe: rename it, or "
            "write its value down"
        )
    unset = [name for name in variables if name not in os.environ]
    if unset:
        raise InputError(f"{where}: the environment variable {unset[0]} is not set; set it, or give --set")
    text = os.path.expandvars(text)
    is_path = text.startswith(".") or (start / text).exists()
    return str((start / text).resolve()) if is_path else text
