"""The unit of work of a sweep, run, kept and sent to workers as a whole: one layer for label sets of the same rows."""

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..io.files import replacing
from ..io.json_files import parse_json
from ..memory_limit import LEAST, memory_limit
from ..neighbors.distinct import PRODUCTS
from ..neighbors.index_names import IndexName
from ..neighbors.row_blocks import QUERIES, ROWS
from ..neighbors.screened_search import may_screen
from ..neighbors.screening import DEAR, LOW_PAYS, MOST
from ..probes.class_moments import BLOCK
from ..probes.design import SMALL
from ..probes.interpolate import BLOCK as MET
from ..probes.minimize import BATCH as FITTED
from ..probes.mlp_training import BATCH
from ..probes.registry import MLP_HIDDEN, PROBES
from ..probes.spectrum import EXACT, RANK
from ..store.activation_store import ActivationStore
from ..store.manifest import identity_key
from ..store.paired_store import PairedStore
from .device_memory import device_memory
from .grid import Grid
from .layer_scores import SHORTER, CellScores, LeftOut, SweptLayer
from .measures import FOUND, SweepLine, SweepScorer, as_table
from .student_measures import StudentScorer
from .student_scores import Judges, stopping_rows, student_scores
from .swept_labels import SweptLabels
from .transfer import Transfer, transfer_of

FORMAT = 5  # goes up when the same key would stand for other numbers
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
    key: str  # a hash of all that determines the numbers
    paired: bool  # whether the store's rows are read as contrast pairs
    limit: int | None = field(default=None, kw_only=True)  # bytes beyond which arrays lie in files (`memory_limit`)

    @classmethod
    def of(
        cls, store: ActivationStore, layer: int, labels: tuple[SweptLabels, ...], grid: Grid, parts: Path | None
    ) -> "Unit":
        """The unit with its key."""
        described = {
            "format": FORMAT,
            "store": store.key,
            "cells": [f"{shard.file} {shard.checksum}" for shard in store.manifest.shards_of(layer)],
            "layer": layer,
            "rows": labels[0].rows_hash,
            "labels": [[label_set.name, label_set.labels_hash] for label_set in labels],
            "grid": grid.record(),
        }
        # Only where there is some, so that the keys of the package's own probes stay.
        if code := {name: PROBES[name].code for name, values in grid.values.items() if values and PROBES[name].code}:
            described["code"] = code
        if losses := added_losses(grid):
            described["losses"] = losses
        if store.paired:
            described["paired"] = True
        if not IndexName.parse(grid.index).is_exact:
            described["found"] = FOUND
        return cls(store.path, layer, labels, grid, parts, identity_key(described)[:16], store.paired)

    @property
    def part(self) -> Path | None:
        """The file of its results, there or not."""
        return None if self.parts is None else self.parts / f"layer-{self.layer:03d}-{self.key}.jsonl.gz"

    def kept(self) -> pd.DataFrame | None:
        """The lines of an earlier run; None where there are none to read."""
        return None if self.part is None else read_part(self.part, self.key)

    @property
    def name(self) -> str:
        """The unit's name in messages."""
        return f"layer {self.layer}"

    @property
    def shared(self) -> tuple[SweptLabels, ...]:
        """The label sets, which a cluster is sent once for all layers."""
        return self.labels

    @property
    def on_gpu(self) -> bool:
        """Whether it wants the GPUs that a job is given."""
        return self.device_memory(1) > 0

    def device_memory(self, width: int) -> int:
        """Bytes that it takes on the device of its fits or its search, at most; 0 where it has none."""
        return device_memory(self.grid, self._rows[0], width)

    def packed(self) -> "Unit":
        """The unit as it is sent to a cluster: without its label sets, and with absolute paths."""
        return replace(self, labels=(), store=self.store.absolute(), parts=self.parts and self.parts.absolute())

    def unpacked(self, shared: tuple[SweptLabels, ...]) -> "Unit":
        """A packed unit with its label sets."""
        return replace(self, labels=shared)

    def memory(self, width: int) -> int:
        """Bytes that running it takes, at most, beside the interpreter and its libraries.

        The larger of its two steps: the searches, which hold the rows, copies of them, and 75 or 150 bytes a neighbour
        asked for beside the pairs still in question; and the fits, which hold the rows, the design, and some fifteen
        numbers a row and thirty a column for every penalty and fold; for a further probe of the registry, three copies
        of the rows beside those of its fold are assumed. docs/performance.md has measured peaks beside this bound.
        """
        (n, m), k, row = self._rows, self.grid.graph_k, width * BYTES
        fits = len(self.grid.values["logistic"]) * (1 + self.grid.folds)
        search = fit = 0
        if k:
            search = row * (2 * n + m) + 75 * n * k
            if width >= PRODUCTS:  # a block of products, its smallest numbers, and those that may be neighbours
                search += 12 * QUERIES * min(n, ROWS)
            if may_screen(n, width, k):
                search += 75 * n * k + 8 * n * min(n // DEAR, MOST * k)
            if n * n * width >= LOW_PAYS:
                search += TORCH + row // 2 * n
        if fits:
            design = 2 * row * n if n * width <= SMALL else row * n
            one_fold = width * max(12 * n // self.grid.folds, 8 * m)
            square = 32 * width**2 if width <= EXACT else RANK * 12 * (n + width)
            across = 32 * n * width if n < width and n <= EXACT else 0
            together = max(1, min(fits, FITTED // n))
            met = self._met(width)
            fit = design + one_fold + max(square, met) + across
            fit += 240 * fits * width + 112 * together * n + 16 * k * (n + m)
        fit = max(fit, self._further(width))
        if self.grid.transfer:
            fit += 3 * row * m + (16 * width**2 if fits else 0) + 240 * fits * width  # the held-out rows' own fits
        return LIBRARIES + row * (n + m) + max(search, fit, self._taught(width))

    def least_memory(self, width: int) -> int:
        """Bytes that it takes at most where `limit` has its layer, neighbours and design in files (`memory_limit`).

        What further probes and students make of the rows stays in memory.
        """
        n, m = self._rows
        beside = max(self._further(width), self._taught(width), self._met(width))
        return LIBRARIES + LEAST + 200 * (n + m) + 16 * self.grid.graph_k * m + beside

    @property
    def _rows(self) -> tuple[int, int]:
        """Rows to learn from, and held out."""
        first = self.labels[0]
        return len(first.training), 0 if first.held_out is None else len(first.held_out)

    def _met(self, width: int) -> int:
        """Bytes of fits that meet their labels, where rows are no more than columns, of all folds or without one.

        The rows' products, the products that are left of them, and the factors that sets of rows share.
        """
        n = self._rows[0]
        if 0 not in self.grid.values["logistic"] or n - n // self.grid.folds > width:
            return 0
        return 20 * min(n, 2 * width) ** 2 + 64 * MET

    def _further(self, width: int) -> int:
        """Bytes of probes other than those of the study."""
        (n, m), row, most = self._rows, width * BYTES, 0
        if any(values for name, values in self.grid.values.items() if name not in SHORTER):
            # The rows without a fold, and what the probe makes of them: a copy in float64, and one like the rows.
            most = 4 * row * n + 16 * self.grid.graph_k * (n + m)
        if any(values and PROBES[name].pairs for name, values in self.grid.values.items()):
            most = max(most, 4 * row * n + 24 * min(n, width // 2) ** 2)  # and the matrix of one side, thrice
        if units := len(self.grid.values["mlp"]) * (1 + self.grid.folds) * MLP_HIDDEN:
            # Standardised rows, blocks of them in float64, and the weights with slopes and Adam's four numbers of each.
            most = max(most, row * n + 6 * units * row + 24 * BLOCK + 16 * BATCH * units)
        return most

    def _taught(self, width: int) -> int:
        """Bytes of the students: rows to learn and to stop by in float32, standardised, and a block in float64.

        Five numbers a weight of every head (its Adam states, gradient and best epoch), and eight a row that it learns.
        """
        if self.grid.students is None:
            return 0
        n, heads = self._rows[0], (len(self.grid.students.kinds) + 1) * len(self.grid.seeds)
        return TORCH + 2 * width * BYTES * n + 16 * heads * (2 * width + 2 * n)

    def run(self) -> pd.DataFrame:
        """The lines of an earlier run, or computed now and kept."""
        if (earlier := self.kept()) is not None:
            return earlier
        with memory_limit(self.limit):
            lines = list(self._lines())
        table = as_table(lines)
        if self.part is not None:
            write_part(self.part, table, self.key)
        return table

    def _lines(self) -> list[SweepLine]:
        first = self.labels[0]
        plain = ActivationStore.open(self.store)
        store = PairedStore(plain) if self.paired else plain
        layer = SweptLayer.read(store, self.layer, first.training, first.held_out, self.grid)
        lines: list[SweepLine] = []
        for labels in self.labels:
            scorer = SweepScorer.of(labels)
            p = labels.training.p
            students = self.grid.students
            fit = np.ones(len(p), dtype=bool) if students is None else ~stopping_rows(labels.training)
            judges, of_seeds, steady = Judges(p, fit), dict[int, Judges](), list[SweepLine]()
            transfer = transfer_of(layer, labels.held_out)
            for scores in layer.steady_scores(p):
                judges.hear(scores)
                steady += self._judged(scorer, 0, scores, transfer, layer)
            for seed in self.grid.seeds:
                lines += [line | {"seed": seed} for line in steady]
                of_seeds[seed] = judges.also()
                for scores in layer.seeded_scores(p, seed):
                    of_seeds[seed].hear(scores)
                    lines += self._judged(scorer, seed, scores, transfer, layer)
            if students is not None:
                scored = list(student_scores(layer, labels.training, students, of_seeds))
                lines += StudentScorer(labels, self.layer).lines(scored)
        return lines

    def _judged(
        self,
        scorer: SweepScorer,
        seed: int,
        scores: CellScores | LeftOut,
        transfer: Transfer | None,
        layer: SweptLayer,
    ) -> list[SweepLine]:
        if isinstance(scores, LeftOut):
            return list(scorer.left_out_lines(self.layer, seed, scores))
        lines = list(scorer.cell_lines(self.layer, seed, scores))
        lines += scorer.found_lines(self.layer, seed, scores.cell, layer.found(scores.cell))
        if transfer is not None and scores.direction is not None:
            lines.append(transfer.line(scorer.line(self.layer, scores.cell, seed), scores.cell, scores.direction))
        for contamination in self.grid.contamination:
            lines += scorer.filter_lines(self.layer, seed, scores, contamination)
        return lines


def added_losses(grid: Grid) -> dict[str, str]:
    """Hashes of the losses of its students that are not the package's, by name."""
    if grid.students is None:
        return {}
    from ..losses.added import added  # loads torch

    return added(grid.students.losses)


def write_part(path: Path, table: pd.DataFrame, key: str) -> None:
    """A line of JSON for each of the table, after one with the unit's key and the hash of both."""
    open_ends = {np.inf: "inf", -np.inf: "-inf"}  # JSON has no such numbers
    records = table.astype(object).where(table.notna(), None).replace(open_ends).to_dict(orient="records")
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    head = json.dumps({"unit": key, "sha256": _hash(key, lines)}).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(head + b"\n" + lines, mtime=0))


def read_part(path: Path, key: str) -> pd.DataFrame | None:
    """The table; None where there is none, or not the one that was written for this unit: it is then made again."""
    try:
        head, _, lines = gzip.decompress(path.read_bytes()).partition(b"\n")
        if parse_json(head, str(path)) != {"unit": key, "sha256": _hash(key, lines)}:
            return None
        return as_table([parse_json(line, str(path)) for line in lines.splitlines()])
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError):
        return None


def _hash(key: str, lines: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + lines).hexdigest()
