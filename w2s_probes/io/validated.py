"""Settings files: validated once, with the nearest known name for a key that does not exist."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import InputError, did_you_mean, nearest, reason
from .json_files import refuse_unreasonable

MOST_SHOWN = 6  # keys of a table in a message
UNKNOWN_KEY = "unknown_key"  # type of an error of a table that knows more keys than fields: `key`, and those `known`
Settings = TypeVar("Settings", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file; InputError where it cannot be read, or is no reasonable TOML."""
    try:
        return parse_toml(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML ({reason(error)})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a text of TOML; ValueError or RecursionError where it is none, or holds what no field can."""
    values = tomllib.loads(text)
    refuse_unreasonable(values)
    return values


def validated(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """The settings as `kind`; InputError naming `where`, the key, and the remedy for the first fault."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        if first["type"] in ("extra_forbidden", UNKNOWN_KEY):
            said = first.get("ctx", {})
            path += [said["key"]] if "key" in said else []
            remedy = _remedy(kind, path, said.get("known"))
            raise InputError(f"{where}: unknown key {'.'.join(path)!r}; {remedy}") from error
        text, place = first["msg"].removeprefix("Value error, "), ".".join(path)
        if first["type"] in ("model_type", "model_attributes_type") and (keys := _fields_at(kind, path)):
            here = ", ".join(f"{place}.{key}" for key in keys[:MOST_SHOWN]) + (", …" if len(keys) > MOST_SHOWN else "")
            raise InputError(f"{where}: {place} is a table of its own: give one of its keys ({here})") from error
        if first["type"] == "list_type":
            text = (
                f'must be a list: {place} = ["one", "two"]'
                if wants_list(kind, tuple(path))
                else f"must be a list of tables: [[{place}]]"
            )
        raise InputError(f"{where}: {place + ': ' if place else ''}{text[0].lower()}{text[1:]}") from error


def _remedy(kind: type[BaseModel], path: list[str], known: list[str] | None = None) -> str:
    """The remedy for an unknown key: the same key in the table that has it, or the nearest name of those `known`."""
    *table, name = path
    places = [".".join([*keys, name]) for keys, inner in tables_of(kind) if name in inner.model_fields]
    if places:
        return f"it belongs to a table: {' or '.join(places)}"
    known = known or _fields_at(kind, table)
    near = nearest(name, known)
    return f"did you mean {'.'.join([*table, near])!r}?" if near else did_you_mean(name, known)


def tables_of(kind: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Every table in the settings, with its path, that stands there once; the settings themselves come first."""
    yield path, kind
    for name, field in kind.model_fields.items():
        if (inner := _table(field.annotation)) is not None:
            yield from tables_of(inner, (*path, name))


def with_lists(kind: type[BaseModel], values: dict[str, Any]) -> None:
    """Where the settings want a list of plain values and one such value stands, put it into a list, in place."""
    for path, table in tables_of(kind):
        here: Any = values
        for part in path:
            here = here.get(part) if isinstance(here, dict) else None
        for name, field in table.model_fields.items() if isinstance(here, dict) else ():
            if is_list(field.annotation) and isinstance(here.get(name), str | int | float):
                here[name] = [here[name]]


def wants_list(kind: type[BaseModel], path: tuple[str, ...]) -> bool:
    """Whether the settings have a list of plain values there."""
    *table, name = path
    return any(
        keys == tuple(table) and name in inner.model_fields and is_list(inner.model_fields[name].annotation)
        for keys, inner in tables_of(kind)
    )


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list of plain values, or such a list or nothing."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    lists = [kind for kind in kinds if get_origin(kind) is list]
    return bool(lists) and not any(isinstance(i, type) and issubclass(i, BaseModel) for i in get_args(lists[0]))


def _fields_at(kind: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        inner = _table(kind.model_fields[part].annotation) if part in kind.model_fields else None
        if inner is None:
            return []
        kind = inner
    return list(kind.model_fields)


def _table(annotation: Any) -> type[BaseModel] | None:
    """The settings of a field that is a table, or such a table or nothing; None of any other field."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    tables = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return tables[0] if len(tables) == 1 else None
