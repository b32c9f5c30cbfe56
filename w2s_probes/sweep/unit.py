"""The piece of a sweep that is done, kept and sent elsewhere as a whole: one layer for label sets of the same rows."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..manifest import identity_key
from ..store import ActivationStore
from ..tables import read_table, write_table
from .cells import Layer, LeftOut, Scores
from .grid import Grid
from .lines import Judge, Line, as_table
from .rows import SweptLabels

FORMAT = 1  # goes up when the same key would stand for other numbers
BYTES = 4  # of a float32


@dataclass(frozen=True, eq=False)
class Unit:
    """One layer, all probes, values, seeds; every label set of the same rows."""

    store: Path
    layer: int
    labels: tuple[SweptLabels, ...]  # of the same rows
    grid: Grid
    parts: Path | None  # where results are kept; None: nowhere
    key: str  # a name for all that decides the numbers

    @classmethod
    def of(
        cls, store: ActivationStore, layer: int, labels: tuple[SweptLabels, ...], grid: Grid, parts: Path | None
    ) -> "Unit":
        """The unit with its name."""
        described = {
            "format": FORMAT,
            "store": store.key,
            "cells": [f"{shard.file} {shard.checksum}" for shard in store.manifest.cells(layer)],
            "layer": layer,
            "rows": labels[0].rows_hash,
            "labels": [[one.name, one.labels_hash] for one in labels],
            "grid": grid.record(),
        }
        return cls(store.path, layer, labels, grid, parts, identity_key(described)[:16])

    @property
    def part(self) -> Path | None:
        """The file of its results, there or not."""
        return None if self.parts is None else self.parts / f"layer-{self.layer:03d}-{self.key}.jsonl.gz"

    def kept(self) -> pd.DataFrame | None:
        """Its lines, if they were made before and can be read."""
        if self.part is not None and self.part.is_file():
            with suppress(InputError, KeyError, ValueError):
                return as_table(read_table(self.part).to_dict(orient="records"))
        return None

    def memory(self, width: int) -> int:
        """Bytes that doing it takes, at most, beside the interpreter and its libraries.

        Activations as read; centred, scaled and screened copies of them; neighbours; and the fits, whose log-odds
        and gradients are kept for every penalty and fold. Measured peaks lie at .5 to .9 of it.
        """
        first = self.labels[0]
        n = len(first.training)
        rows = n + (0 if first.held_out is None else len(first.held_out))
        fits = len(self.grid.logistic_l2) * (1 + self.grid.folds)
        square = min(width, 1536) * width * 8 * 2 if fits else 0
        return BYTES * width * (rows + 3 * n) + rows * self.grid.graph_k * 32 + fits * (n * 16 + width * 64) + square

    def run(self) -> pd.DataFrame:
        """Its lines, made and kept; or as they were kept before."""
        if (there := self.kept()) is not None:
            return there
        lines = list(self._lines())
        table = as_table(lines)
        if self.part is not None:
            write_table(table.astype(object).where(table.notna(), None), self.part)
        return table

    def _lines(self) -> list[Line]:
        first = self.labels[0]
        store = ActivationStore.open(self.store)
        layer = Layer.read(store, self.layer, first.training, first.held_out, self.grid)
        lines: list[Line] = []
        for labels in self.labels:
            judge = Judge.of(labels)
            p = labels.training.p
            steady = [line for found in layer.neighbor_scores(p) for line in self._judged(judge, 0, found)]
            for seed in self.grid.seeds:
                lines += [line | {"seed": seed} for line in steady]
                for found in layer.scores(p, seed):
                    lines += self._judged(judge, seed, found)
        return lines

    def _judged(self, judge: Judge, seed: int, found: Scores | LeftOut) -> list[Line]:
        if isinstance(found, LeftOut):
            return list(judge.left_out_lines(self.layer, seed, found))
        lines = list(judge.cell_lines(self.layer, seed, found))
        for contamination in self.grid.contamination:
            lines += judge.filter_lines(self.layer, seed, found, contamination)
        return lines
