"""The JSON Schema of settings files, for editors: TOML's values, with the comments beside fields as descriptions."""

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from .field_comments import field_comments
from .validated import is_list

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema(kind: type[BaseModel], *, bare_lists: bool = False) -> dict[str, Any]:
    """The JSON Schema of settings as TOML has them: nothing is null, and what may be left out is not required.

    With `bare_lists` a list of plain values may be one of them without brackets (`validated.with_lists`).
    """
    schema = kind.model_json_schema()
    kinds = {inner.__name__: inner for inner in _models(kind, set())}
    for name, part in [(kind.__name__, schema), *schema.get("$defs", {}).items()]:
        owner, comments = kinds[name], field_comments(kinds[name])
        part["description"] = " ".join((inspect.getdoc(owner) or "").partition("\n\n")[0].split())
        for field, given in part["properties"].items():
            filled = _without_null(given)
            if bare_lists and is_list(owner.model_fields[field].annotation):
                filled = _or_bare(filled)
            part["properties"][field] = {"description": comments[field], **filled} if field in comments else filled
    return {"$schema": DIALECT, **schema}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in field.items() if name != "title"}
    if kept.get("default", 0) is None:
        del kept["default"]
    if "anyOf" not in kept:
        return kept
    kinds = [kind for kind in kept.pop("anyOf") if kind.get("type") != "null"]
    return {**kinds[0], **kept} if len(kinds) == 1 else {"anyOf": kinds, **kept}


def _or_bare(field: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {name: field.pop(name) for name in ("default", "description") if name in field}
    return {"anyOf": [field, field["items"]], **about}


def _models(annotation: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """The settings class of an annotation, and those of its fields, each once."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation, seen)
    for inner in get_args(annotation):
        yield from _models(inner, seen)
