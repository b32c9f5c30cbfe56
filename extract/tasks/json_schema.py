"""The JSON Schema of task files, for editors: every key, and which kinds of task there are."""

from typing import Any

from w2s_probes.io.settings_schema import settings_schema

from .definition import KINDS, Task


def task_json_schema() -> dict[str, Any]:
    """The schema of task files; what a template may name, and what rules may be combined, `read_task` checks."""
    schema = settings_schema(Task)
    schema["oneOf"] = [{"required": [kind]} for kind in KINDS]
    schema["dependentRequired"] = {"choices": ["answer"], "answer": ["choices"], "shared": ["pair"]}
    rules = [["positive"], ["negative"], ["contains"], ["above"]]
    schema["$defs"]["LabelRule"]["anyOf"] = [{"required": rule} for rule in rules]
    return schema
