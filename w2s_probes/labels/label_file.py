"""A label set as a table, from wherever it stands: a file, a DataFrame, or a LabelSet."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..io.files import sha256
from ..rows.fields import typed
from .label_set import LabelSet, in_split, read_label_table

Labels = Path | str | pd.DataFrame | LabelSet
IN_MEMORY = "the labels"  # what a DataFrame is called in errors


@dataclass(frozen=True)
class LabelFile:
    """A label set's n rows with all their fields, typed.

    >>> file = LabelFile.read(pd.DataFrame({"text": ["yes", "no"], "label": [0.9, 0.2]}))
    >>> file.columns, file.training.tolist()
    (['id', 'text', 'label'], [True, True])
    """

    frame: pd.DataFrame
    where: str  # its name, for errors
    path: Path | None = None  # None: in memory

    @classmethod
    def read(cls, labels: Labels) -> "LabelFile":
        """From a path, a DataFrame with a label file's columns, or a LabelSet; InputError for ground truth."""
        if isinstance(labels, LabelSet):
            where = str(labels.provenance.get("file", "the label set"))
            if labels.role == "truth":
                raise InputError(
                    f"{where}: ground truth is no label set to export: `truth=True` puts it beside weak labels"
                )
            return cls(pd.DataFrame({"id": labels.ids, "label": labels.p}), where)
        if isinstance(labels, pd.DataFrame):
            return cls(typed(labels.reset_index(drop=True), IN_MEMORY), IN_MEMORY)
        return cls(read_label_table(labels), str(labels), Path(labels))

    @cached_property
    def source(self) -> dict[str, str]:
        """Its name and hash, for records."""
        if self.path is not None:
            return {"file": self.path.name, "sha256": sha256(self.path)}
        return {"file": "a DataFrame" if self.where == IN_MEMORY else Path(self.where).name}

    @property
    def columns(self) -> list[str]:
        """The names of its fields."""
        return [str(name) for name in self.frame.columns]

    @cached_property
    def weak(self) -> LabelSet:
        """Its weak labels; InputError for a row without one."""
        return LabelSet.from_table(self.frame, where=self.where)

    @cached_property
    def training(self) -> NDArray[np.bool_]:
        """Which rows (n,) are to learn from: those of `split` train, and all where there is no `split`."""
        if "split" not in self.frame:
            return np.ones(len(self.frame), dtype=bool)
        return in_split(self.frame, "train", self.where)
