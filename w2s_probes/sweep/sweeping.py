"""The sweep: layers x probes x values x seeds x label sets."""

import inspect
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ..devices import PROCESSOR, refuse_no_device
from ..errors import InputError, did_you_mean
from ..labels.label_file import Labels
from ..places import HERE, Place
from ..places.pool import versions
from ..probes import Connectivity
from ..probes.class_specs import classifier_names
from ..probes.registry import ONCE, PROBES, probe_settings
from ..progress import Progress, silent
from ..share import Share
from ..store.activation_store import ActivationStore
from ..store.layers import LayerSpec
from ..store.manifest import identity_key
from .grid import Grid, Numbers, asked, listed, published, reads_pairs
from .measures import SweepScorer, as_table
from .result import SweepResult
from .running import run_units
from .student_grid import CONTAMINATION, StudentGrid, texts
from .swept_labels import SweptLabels, joined_labels, read_labels
from .unit import Unit


def sweep(
    store: ActivationStore | Path | str,
    labels: Labels | Sequence[Labels] | Mapping[str, Labels],
    *,
    layers: LayerSpec = "all",
    knn_k: Numbers = (),
    logistic_l2: Numbers = (),
    topo_k: Numbers = (),
    mean_difference: bool = False,
    mean_difference_whitened: bool = False,
    contrast: bool = False,
    classifiers: str | Sequence[str] = (),
    contamination: Numbers = (),
    connectivity: Connectivity = "strong",
    folds: int = 5,
    seeds: Numbers = (0,),
    students: str | Sequence[str] = (),
    student_filter: str | Sequence[str] = ("none",),
    student_relabel: str | Sequence[str] = (),
    index: str = "exact",
    device: str = PROCESSOR,
    test: Labels | None = None,
    held_out: float | None = None,
    transfer: bool = False,
    parts: Path | None = None,
    place: Place = HERE,
    progress: Progress = silent,
    **others: Numbers | bool,
) -> SweepResult:
    """Measure every probe at every layer and value, each out of sample and on rows held out.

    `labels`: label files, DataFrames with their columns, or LabelSets, one, several or by name. Probes learn from
    the training rows (`split` = train, or all) and score them out of sample; the same probes score rows held out:
    those of `test`; else those whose split is val or test (without those that share a group or text with a training
    row); else a share `held_out` (.2 unless given) set aside, whole groups and equal texts together, the same for
    every label set and seed. The best cell is chosen on the training rows, by weak
    labels, and held-out rows then say how good it is. Values are one number or several (`knn_k=5`, `knn_k=[5, 50]`);
    with none given, kNN and logistic take the published ones; `others` are values of further probes of the registry,
    by the names of their settings. Probes that have no value are swept where they are True; with `contrast`, and where
    labels have the ids of a store's contrast pairs, every probe reads [x⁺, x⁻]. `classifiers` are those of
    scikit-learn that are swept beside them, as `module:Class(C=0.1)`. Every `contamination` is what a filter by each
    cell would remove.

    `students` are losses: at every layer and seed a head learns the weak labels by each of them, without the rows that
    each probe of `student_filter` would drop ("none": all rows; at `contamination`, .1 unless given), and the scores
    of each probe of `student_relabel` in place of the weak labels. The probe is at the value of the grid whose scores
    are nearest to the weak labels at that layer (its default, where none is given). A fifth of the training rows,
    whole groups, stops the heads and compares them; they learn the others. A ceiling learns the truth where it is
    known.

    `transfer`: every linear probe is also compared with one of its kind that the held-out rows' weak labels teach
    (`transfer_cosine`, the Mahalanobis cosine on these rows): a forecast of how it will do there.

    A layer is read once; one neighbour graph and one factorisation serve all values, seeds and label sets of the same
    rows. Cells that a layer cannot serve (say, since most of its rows are equal) are left out with the reason.
    `index` is where neighbours are searched, and `device` where logistic and MLP probes and students' heads are fitted,
    as "cuda": the same fits but for rounding, and their results are kept apart.
    `parts` is a folder where each layer's results are kept as they are made: a sweep that was killed goes on.
    `place` says where it runs: here, in several processes, on a Ray or Dask cluster.

    Raises InputError for layers that are not stored, labels that do not fit the store or are of one class, values
    that the rows cannot serve, a layer that is larger than the memory allowed, and a device or a cluster that is not
    there.
    """
    if place.backend == "local":
        refuse_no_device(device)
    settings: dict[str, Numbers | bool] = {"knn_k": knn_k, "logistic_l2": logistic_l2, "topo_k": topo_k}
    settings |= {
        "mean_difference": mean_difference,
        "mean_difference_whitened": mean_difference_whitened,
        "contrast": contrast,
        **others,
    }
    entries = probe_settings()
    if unknown := [name for name in settings if name not in entries]:
        known = [name for name in inspect.signature(sweep).parameters if name != "others"]
        raise InputError(f"sweep has no {unknown[0]}: {did_you_mean(unknown[0], dict.fromkeys([*known, *entries]))}")
    values: dict[str, Any] = {entries[name].name: asked(entries[name], value) for name, value in settings.items()}
    values |= dict.fromkeys(classifier_names(texts(classifiers, "classifiers")), ONCE)
    shares, folds_seeds = listed(contamination, "contamination"), listed(seeds, "seeds")
    opened = store if isinstance(store, ActivationStore) else ActivationStore.open(store)
    heads = None
    if losses := texts(students, "students"):
        judges = texts(student_filter, "student_filter"), texts(student_relabel, "student_relabel")
        heads = StudentGrid(losses, *judges, shares or (CONTAMINATION,))
    opened, files, tests = joined_labels(opened, labels, test, paired=reads_pairs(values, heads))
    rows = read_labels(files, tests, held_out, opened.ids, str(opened.path))
    if not any(values.values()):
        values = dict(published(min(len(labels.training) for labels in rows)))
    grid = Grid(values, shares, connectivity, folds, folds_seeds, index, heads, transfer, device)
    return SweepPlan.plan(opened, rows, grid, layers, parts).run(place, progress)


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """A planned sweep: its store, labels and grid fit together, and nothing is computed yet."""

    store: ActivationStore
    layers: list[int]
    labels: list[SweptLabels]
    grid: Grid
    units: list[Unit]  # one for each layer and set of rows

    @classmethod
    def plan(
        cls, store: ActivationStore, labels: list[SweptLabels], grid: Grid, layers: LayerSpec, parts: Path | None
    ) -> "SweepPlan":
        """Plan a sweep from checked inputs; only ids are read."""
        grid.refuse_too_few(min(len(label_set.training) for label_set in labels))
        grid.refuse_idle_device()
        if grid.transfer and (without := [one.name for one in labels if one.held_out is None]):
            raise InputError(f"transfer is to the rows held out, of which {without[0]} has none: hold some out")
        numbers = store.select(layers)
        by_rows = _same_rows(labels)
        units = [Unit.of(store, number, sets, grid, parts) for number in numbers for sets in by_rows]
        return cls(store, numbers, labels, grid, units)

    @property
    def key(self) -> str:
        """A hash of all that determines the result."""
        return identity_key({"units": [unit.key for unit in self.units]})

    def description(self) -> list[str]:
        """The plan in lines: rows, cells and layers, units kept of an earlier run, and the memory of a layer."""
        lines = []
        for labels in self.labels:
            held_out = "no row" if labels.held_out is None else f"{len(labels.held_out):,} rows"
            related = f" ({labels.related:,} more share a text or a group with training rows)" if labels.related else ""
            known = (
                ", with truth" if labels.training.truth is not None else ", no truth: agreement with weak labels only"
            )
            what = "contrast pairs to train on" if self.store.paired else "training rows"
            lines.append(f"{labels.name}: {len(labels.training):,} {what}, {held_out} held out{related}{known}")
        kept = sum(unit.kept() is not None for unit in self.units)
        for name, values in self.grid.values.items():
            if len(values):
                of = PROBES[name].value
                numbers = "" if of is None else f" {of}: {', '.join(f'{value:g}' for value in values)}"
                lines.append(f"{name}{numbers}")
        cells = self.grid.cells * len(self.layers) * len(self.labels) * len(self.grid.seeds)
        lines.append(
            f"layers {', '.join(map(str, self.layers))}: {cells:,} cells of layer, probe, value, labels and seed"
        )
        if self.grid.students is not None:
            count = len(self.grid.students.kinds)
            lines.append(
                f"students: {count} heads at each layer, label set and seed, and a ceiling where there is truth"
            )
        memory = max(unit.memory(self.store.shape[2]) for unit in self.units)
        there = max(unit.device_memory(self.store.shape[2]) for unit in self.units)
        beside = f", and {there / 1e6:,.0f} MB on its device" if there else ""
        lines.append(
            f"{kept} of {len(self.units)} layers kept from before; {memory / 1e6:,.0f} MB at most for one layer{beside}"
        )
        return lines

    def run(self, place: Place = HERE, progress: Progress = silent) -> SweepResult:
        """Run every unit that is not kept, and gather the result."""
        return self._result(run_units(self.units, place, self.store.shape[2], progress))

    def run_share(self, share: Share, place: Place = HERE, progress: Progress = silent) -> SweepResult | None:
        """Run one share of the units; the result if all shares are done by then, else None. Needs a folder of parts."""
        if share.count == 1:
            return self.run(place, progress)
        ours = [unit for number, unit in enumerate(self.units) if share.has(number)]
        run_units(ours, place, self.store.shape[2], progress)
        there = [table for unit in self.units if (table := unit.kept()) is not None]
        return self._result(there) if len(there) == len(self.units) else None

    def _result(self, tables: list[pd.DataFrame]) -> SweepResult:
        weak = as_table([line for label_set in self.labels for line in SweepScorer.of(label_set).weak_lines()])
        table = pd.concat([table for table in (weak, *tables) if len(table)], ignore_index=True)
        return SweepResult(_in_order(table, self.labels), _record(self.store, self.layers, self.labels, self.grid))


def _same_rows(swept: list[SweptLabels]) -> list[tuple[SweptLabels, ...]]:
    """The label sets, a tuple for each set of rows."""
    by_rows: dict[str, list[SweptLabels]] = {}
    for label_set in swept:
        by_rows.setdefault(label_set.rows_hash, []).append(label_set)
    return [tuple(sets) for sets in by_rows.values()]


def _in_order(table: pd.DataFrame, swept: list[SweptLabels]) -> pd.DataFrame:
    """Sorted by label set; within one the order stays, layer by layer."""
    place = table["labels"].map({label_set.name: number for number, label_set in enumerate(swept)})
    return table.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def _record(store: ActivationStore, layers: list[int], swept: list[SweptLabels], grid: Grid) -> dict[str, Any]:
    sets = {
        label_set.name: {
            "training_rows": len(label_set.training),
            "held_out_rows": 0 if label_set.held_out is None else len(label_set.held_out),
            "related_rows_left_out": label_set.related,
            "truth": label_set.training.truth is not None,
            "rows": label_set.rows_hash[:16],
            "labels": label_set.labels_hash[:16],
        }
        for label_set in swept
    }
    installed = {
        "python": platform.python_version(),
        **versions(),
        **{name: version(name) for name in ("h5py", "joblib")},
    }
    about = {"path": str(store.path), "key": store.key, "model": store.manifest.notes.get("model")}
    return {"store": about, "layers": layers, "grid": grid.record(), "labels": sets, "versions": installed}
