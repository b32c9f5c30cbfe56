"""The comments beside the fields of a settings class, which say what each is, read from its source."""

import inspect
import re
from functools import cache

from pydantic import BaseModel

FIELD = re.compile(r"    (?P<name>[a-z]\w*): .*?(?:  # (?P<beside>.*))?")
LATER = re.compile(r"    [ )\]}].*  # (?P<beside>.*)")  # further lines of a field
ABOVE = re.compile(r"    # (?P<text>.*)")


@cache
def field_comments(kind: type[BaseModel]) -> dict[str, str]:
    """The comment of each field that has one: at the end of its line, or on the lines above it.

    >>> from w2s_probes.students.finetuning.settings import FineTuning
    >>> field_comments(FineTuning)["batch_size"]
    'rows an update, over all processes and micro-batches'
    """
    found: dict[str, str] = {}
    for owner in reversed([base for base in kind.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]):
        found |= _own_comments(owner)
    return {name: text for name, text in found.items() if name in kind.model_fields}


def _own_comments(kind: type[BaseModel]) -> dict[str, str]:
    try:
        lines = inspect.getsource(kind).splitlines()
    except (OSError, TypeError):  # a class that has no source, as one made by pydantic
        return {}
    found: dict[str, str] = {}
    above: list[str] = []
    open_field = ""
    for line in lines:
        if match := ABOVE.fullmatch(line):
            above.append(match["text"])
        elif match := FIELD.fullmatch(line):
            open_field = match["name"]
            if text := match["beside"] or " ".join(above):
                found[open_field] = text
            above = []
        elif (match := LATER.fullmatch(line)) and open_field:
            found.setdefault(open_field, match["beside"])
        elif re.match(r"    [^ )\]}]", line):  # a method, or a decorator
            above, open_field = [], ""
    return found
