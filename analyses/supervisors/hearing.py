"""What a member of a debate's supervisor reads: each row, and its transcript as far as its window holds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from extract.debating import Attached, Transcript, attach
from extract.debating.attaching import written
from extract.models.source import ModelSource
from w2s_probes.checkpoints.tokens import token_limit
from w2s_probes.rows.ids import content_id

from ..experiment.row_sets import RowSets
from ..recipe.schema import Weak

ByRow = Mapping[str, Transcript]  # one member's, by the rows' ids


@dataclass(frozen=True)
class Hearing:
    """The sets that a member reads in place of the rows', and the counts of each text."""

    sets: RowSets
    texts: list[Attached]


@dataclass(frozen=True)
class Reader:
    """A member's tokenizer, and the most tokens that it reads; neither of one that counts words."""

    tokenizer: Any = None
    window: int | None = None

    @classmethod
    def of(cls, weak: Weak, find: Callable[[str], ModelSource]) -> "Reader":
        """The reader of a supervisor's kind and model."""
        if weak.model is None:
            return cls()
        source = find(weak.model)
        longest = weak.finetuning.max_length if weak.kind == "finetune" else None
        return cls(source.tokenizer, token_limit(source.tokenizer, longest, source.window))

    def hear(self, sets: RowSets, said: ByRow, names: Sequence[str] | None, *, alone: bool = False) -> Hearing:
        """The sets with each row's transcript after it, or in its place; such texts have ids of their own."""
        tables: dict[str, pd.DataFrame] = {}
        every: dict[str, Attached] = {}
        for name, table in sets.tables.items():
            for row, text in zip(table["id"], table["text"], strict=True):
                if row not in every:
                    every[row] = attach(text, said[row], self.tokenizer, self.window, names=names)
            texts = [written(said[row], names) if alone else every[row].text for row in table["id"]]
            ids = [content_id(f"{row}\x1f{text}") for row, text in zip(table["id"], texts, strict=True)]
            tables[name] = table.assign(text=texts, id=ids)
        return Hearing(sets.with_tables(tables), list(every.values()))
