"""Settings files: validated once, with the nearest known name for a key that does not exist."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import InputError, did_you_mean, reason
from .json_files import refuse_unreasonable

Settings = TypeVar("Settings", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file; InputError where it cannot be read, or is no TOML that anybody would write."""
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
        if first["type"] == "extra_forbidden":
            known = _fields_at(kind, path[:-1])
            raise InputError(f"{where}: unknown key {'.'.join(path)!r}; {did_you_mean(path[-1], known)}") from error
        text, place = first["msg"].removeprefix("Value error, "), ".".join(path)
        raise InputError(f"{where}: {place + ': ' if place else ''}{text[0].lower()}{text[1:]}") from error


def _fields_at(kind: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        inner = kind.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return list(kind.model_fields)
