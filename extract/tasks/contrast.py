"""Contrast pairs of a task: each row's text with its label said to be 1, and with it said to be 0."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from w2s_probes.rows.sides import side_ids

from .fields import placeholders, render

TEXT = "text"  # the one field of a template: the row's text, as the task's `text` makes it of the source's fields


def checked_contrast(templates: Sequence[str]) -> None:
    """ValueError for two templates that make no contrast of a row's text."""
    for template in templates:
        names = placeholders(template)
        if TEXT not in names:
            raise ValueError(f"contrast: no {{text}} in {template!r}: every row would be the same")
        if others := sorted(names - {TEXT}):
            raise ValueError(
                f"contrast: {{{others[0]}}} is no field of a finished row: write {{text}}, which `text` makes"
            )
    if templates[0].strip() == templates[1].strip():
        raise ValueError(f"contrast: both are {templates[0]!r}: say label 1 in the first, and 0 in the second")


def contrast_rows(rows: pd.DataFrame, templates: Sequence[str]) -> pd.DataFrame:
    """The sides (id, text) of rows (n, with id and text): n with ids ID+ by the first template, n ID- by the second.

    >>> rows = pd.DataFrame({"id": ["a"], "text": ["Is {it} so?"]})
    >>> contrast_rows(rows, ["{text} Yes", "{text} No"]).values.tolist()
    [['a+', 'Is {it} so? Yes'], ['a-', 'Is {it} so? No']]
    """
    plus, minus = side_ids(rows["id"].tolist())
    texts = [render(template, {}, "", {TEXT: text}) for template in templates for text in rows["text"].tolist()]
    return pd.DataFrame({"id": pd.Series([*plus, *minus], dtype=object), "text": pd.Series(texts, dtype=object)})


def unknown_words(tokenizer: Any, template: str) -> list[str]:
    """The words of a template, beside the row's text, of which a tokenizer makes its token for unknown ones."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return []
    words = dict.fromkeys(render(template, {}, "", {TEXT: " "}).split())
    return [word for word in words if unknown in tokenizer(word, add_special_tokens=False)["input_ids"]]


def contrast_key(templates: Sequence[str]) -> str:
    """A hash of the templates: ids of sides do not tell by which templates they were made."""
    return hashlib.sha256("\x1f".join(templates).encode()).hexdigest()[:16]
