"""The piece of a sweep that is done, kept and sent elsewhere as a whole: one layer for label sets of the same rows."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..neighbors.exact import FEWEST, NARROWEST
from ..neighbors.screening import DEAR, LOW_PAYS, MOST
from ..probes.design import SMALL
from ..probes.spectrum import EXACT, RANK
from ..store.activation_store import ActivationStore
from ..store.manifest import identity_key
from .grid import Grid
from .layer_scores import Layer, LeftOut, Scores
from .measures import Judge, Line, as_table
from .swept_labels import SweptLabels
from .unit_files import read_part, write_part

FORMAT = 2  # goes up when the same key would stand for other numbers
BYTES = 4  # of a float32
LIBRARIES = 32_000_000  # that linear algebra, searches and HDF5 take for themselves when they are first used
TORCH = 300_000_000  # which large searches load


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
            "cells": [f"{shard.file} {shard.checksum}" for shard in store.manifest.shards_of(layer)],
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
        return None if self.part is None else read_part(self.part, self.key)

    def memory(self, width: int) -> int:
        """Bytes that doing it takes, at most, beside the interpreter and its libraries.

        The larger of its two steps: the searches, which hold the rows, copies of them, and 75 or 150 bytes a neighbour
        asked for beside the pairs still in question; and the fits, which hold the rows, the design, and some fifteen
        numbers a row and thirty a column for every penalty and fold. Peaks measured with 20 k and 11 penalties of
        5 folds, each in a process of its own and above what it had after the imports, a fifth of all rows held out:
        10,000 training rows of 1,024: 288 MB of the 342 told; 10,000 of 4,096: 702 of 772; 20,000 of 512: 419 of 557;
        40,000 of 128: 361 of 389; 2,000 of 4,096: 194 of 246; 2,000 of 256: 39 of 65. Topo adds nothing to them, nor
        do more label sets.
        """
        first = self.labels[0]
        n, m = len(first.training), 0 if first.held_out is None else len(first.held_out)
        k, row = self.grid.graph_k, width * BYTES
        fits = len(self.grid.values["logistic"]) * (1 + self.grid.folds)
        search = fit = 0
        if k:
            search = row * (2 * n + m) + 75 * n * k
            if n >= max(FEWEST, 8 * k) and width >= NARROWEST:  # then pairs of rows are screened
                search += 75 * n * k + 8 * n * min(n // DEAR, MOST * k)
            if n * n * width >= LOW_PAYS:
                search += TORCH + row // 2 * n
        if fits:
            design = 2 * row * n if n * width <= SMALL else row * n
            one_fold = width * max(12 * n // self.grid.folds, 8 * m)
            square = 32 * width**2 if width <= EXACT else RANK * 12 * (n + width)
            across = 32 * n * width if n < width and n <= EXACT else 0
            fit = design + one_fold + square + across + fits * (112 * n + 240 * width) + 16 * k * (n + m)
        return LIBRARIES + row * (n + m) + max(search, fit)

    def run(self) -> pd.DataFrame:
        """Its lines, made and kept; or as they were kept before."""
        if (there := self.kept()) is not None:
            return there
        lines = list(self._lines())
        table = as_table(lines)
        if self.part is not None:
            write_part(self.part, table, self.key)
        return table

    def _lines(self) -> list[Line]:
        first = self.labels[0]
        store = ActivationStore.open(self.store)
        layer = Layer.read(store, self.layer, first.training, first.held_out, self.grid)
        lines: list[Line] = []
        for labels in self.labels:
            judge = Judge.of(labels)
            p = labels.training.p
            steady = [line for found in layer.steady_scores(p) for line in self._judged(judge, 0, found)]
            for seed in self.grid.seeds:
                lines += [line | {"seed": seed} for line in steady]
                for found in layer.seeded_scores(p, seed):
                    lines += self._judged(judge, seed, found)
        return lines

    def _judged(self, judge: Judge, seed: int, found: Scores | LeftOut) -> list[Line]:
        if isinstance(found, LeftOut):
            return list(judge.left_out_lines(self.layer, seed, found))
        lines = list(judge.cell_lines(self.layer, seed, found))
        for contamination in self.grid.contamination:
            lines += judge.filter_lines(self.layer, seed, found, contamination)
        return lines
