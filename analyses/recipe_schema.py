"""The JSON Schema of recipes, for editors: every key, closed choice and name that a recipe may hold."""

from typing import Any

from extract.tasks.load import TASKS
from w2s_probes.io.settings_schema import settings_schema
from w2s_probes.losses.names import LOSSES

from .methods import METHODS
from .recipe.gold_names import GOLD, OF_WEAK
from .recipe.probe_values import added_settings
from .recipe.read import LADDER, PLUGINS, TASK_FILE, VARIANTS, Ladder
from .recipe.schema import MAY, NEEDS, Recipe
from .results.names import AVERAGE, GATE, RANDOM, SHUFFLED

PAIRED = ("weak", "strong")  # tables whose model a ladder fills in


def recipe_json_schema() -> dict[str, Any]:
    """The schema of recipes as `read_recipes` reads them, ladders and variants included.

    Methods, losses and settings of probes are those of the registries, with what installed packages add; a recipe that
    names plugins may have others.
    Rules between keys are those of the kinds of supervisor and of ladders; all others `w2s run` checks.
    """
    schema = settings_schema(Recipe, bare_lists=True)
    parts, properties = schema["$defs"], schema["properties"]
    parts["Method"] = {
        "description": "A method (docs/experiments.md), or the control of one.",
        "enum": _methods(),
    }
    sized = {"type": "string", "pattern": SIZED}
    parts["MethodOrSize"] = {"if": sized, "then": True, "else": {"$ref": "#/$defs/Method"}}
    parts["TaskName"] = {
        "description": "A task of data/tasks, or the path of a task file.",
        "anyOf": [{"enum": sorted(path.stem for path in TASKS.glob("*.toml"))}, _ending(TASK_FILE)],
    }
    names = {"anyOf": [{"$ref": "#/$defs/Method"}, {"type": "string"}]}
    properties["methods"]["anyOf"][0]["items"] = properties["methods"]["anyOf"][1] = names
    properties["baseline"] |= names
    del properties["baseline"]["type"]
    parts["Student"]["properties"]["loss"] |= {"anyOf": [{"enum": list(LOSSES)}, {"type": "string"}]}
    del parts["Student"]["properties"]["loss"]["type"]
    parts["Probes"]["properties"] |= {
        name: {"type": "number", "default": entry.default} for name, entry in added_settings().items()
    }
    parts["Probes"] |= {"patternProperties": {"_(k|l2)$": {"type": "number"}}, "additionalProperties": False}
    tasks = parts["Data"]["properties"]["tasks"]["anyOf"]
    tasks[0]["items"] = tasks[1] = {"$ref": "#/$defs/TaskName"}
    parts["Conflict"]["properties"]["task"] |= {"$ref": "#/$defs/TaskName"}
    del parts["Conflict"]["properties"]["task"]["type"]
    parts["Weak"]["allOf"] = [_keys_of_kind(kind) for kind in NEEDS]
    return schema | _with_variants(schema | _with_ladders(schema)) | _without_plugins(schema)


def _without_plugins(schema: dict[str, Any]) -> dict[str, Any]:
    """What differs where neither a recipe nor a variant of it names plugins: there is nothing but what is known."""
    method = {"$ref": "#/$defs/MethodOrSize"}
    known = {
        "methods": {"anyOf": [method, {"type": "array", "items": method}]},
        "baseline": method,
        "student": {"properties": {"loss": {"enum": list(LOSSES)}}},
        "probes": {"propertyNames": {"enum": list(schema["$defs"]["Probes"]["properties"])}},
    }
    schema["$defs"]["WithoutPlugins"] = {"properties": known}
    here = {"$ref": "#/$defs/WithoutPlugins"}
    none = {"not": {"required": [PLUGINS]}}
    nowhere, everywhere = (
        {"allOf": [one, {"properties": {VARIANTS: {"additionalProperties": one}}}]} for one in (none, here)
    )
    return {"allOf": [{"if": nowhere, "then": everywhere}]}


# A use of gold rows, or a control of it, with the numbers of its rows.
SIZED = "^(control-gold-weak:)?(gold-[a-z-]+|control-(gold|weak)-alone)(:[0-9]+){1,2}$"


def _methods() -> list[str]:
    controls = [RANDOM + name for name, method in METHODS.items() if method.removal is not None]
    controls += [f"{control}:{gate}" for control in (AVERAGE, SHUFFLED) for gate in METHODS if gate.startswith(GATE)]
    controls += [
        OF_WEAK + name for name, method in METHODS.items() if method.gold is not None and name.startswith(GOLD)
    ]
    return [*METHODS, *controls]


def _ending(text: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"{text.replace('.', '[.]')}$"}


def _keys_of_kind(kind: str) -> dict[str, Any]:
    """A supervisor of this kind has the keys that it needs and no others; `text` is the one without `kind`."""
    asked: dict[str, Any] = {"properties": {"kind": {"const": kind}}}
    if kind != "text":
        asked["required"] = ["kind"]
    known = ["kind", *sorted(NEEDS[kind] | MAY[kind])]
    # The model of a head or of fine-tuning may come from a ladder, and so is not required here.
    return {"if": asked, "then": {"required": sorted(NEEDS[kind] - {"model"}), "propertyNames": {"enum": known}}}


def _with_ladders(schema: dict[str, Any]) -> dict[str, Any]:
    """What differs where a recipe has a ladder: its models are those of `weak` and `strong`."""
    parts = schema["$defs"]
    ladder = settings_schema(Ladder)
    del ladder["$schema"]
    parts["Ladder"] = ladder
    parts["Strong"]["required"].remove("model")
    named: dict[str, Any] = {"required": ["model"]}
    schema["properties"]["intermediate"]["items"] = {"$ref": "#/$defs/Strong", **named}
    of_model = {
        "if": {"properties": {"kind": {"enum": ["head", "finetune", "prior", "lm"]}}, "required": ["kind"]},
        "then": named,
    }
    return {
        "properties": schema["properties"] | {LADDER: {"$ref": "#/$defs/Ladder"}},
        "required": [name for name in schema["required"] if name not in PAIRED],
        "if": {"required": [LADDER]},
        "then": {"properties": {name: {"not": named} for name in PAIRED}},
        "else": {"required": list(PAIRED), "properties": {"strong": named, "weak": of_model}},
    }


def _with_variants(schema: dict[str, Any]) -> dict[str, Any]:
    """What differs where a recipe has variants: keys that it lacks may stand in each of them."""
    properties = schema["properties"]
    schema["$defs"]["Variant"] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    some = {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/Variant"}}
    some["description"] = "runs by name, each with some keys and tables in place of the recipe's"
    rules = {name: schema[name] for name in ("required", "if", "then", "else")}
    return {
        "properties": properties | {VARIANTS: some},
        "required": [],
        "if": {"required": [VARIANTS]},
        "then": {},
        "else": rules,
    }
