"""A sweep of students beside the same sweep of probes alone: thirteen layers, twelve students, five seeds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.sweep import LAYERS, written
from tests.benchmarks.timing import Line, seconds
from w2s_probes.probes.penalties import PENALTIES
from w2s_probes.sweep import Grid, StudentGrid
from w2s_probes.sweep.grid import PUBLISHED_K
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import read_labels

TRAINING, HELD_OUT, WIDTH, SEEDS = 5_000, 1_250, 384, tuple(range(5))
STUDENTS = StudentGrid(("xent", "logconf"), ("none", "knn", "topo"), ("knn", "logistic", "topo"))


def cases() -> Iterator[Line]:
    """The line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        yield beside_the_probes(Path(folder))


def beside_the_probes(folder: Path) -> Line:
    """The published values, and the students, whose time holds that of the probes: they take turns layer by layer."""
    store = written(folder / "acts", WIDTH, TRAINING + HELD_OUT)
    rng = np.random.default_rng(1)
    classes = np.arange(TRAINING + HELD_OUT) % 2
    label = np.clip(0.5 + (classes - 0.5) * rng.normal(0.5, 0.6, len(classes)), 0.01, 0.99)
    split = ["train"] * TRAINING + ["test"] * HELD_OUT
    table = pd.DataFrame({"id": store.ids, "label": label, "truth": classes, "split": split})
    labels = read_labels(table, None, None, store.ids, "")
    values = STUDENTS.with_judges({"knn": PUBLISHED_K, "logistic": PENALTIES})

    def units(students: StudentGrid | None) -> SweepPlan:
        return SweepPlan.plan(store, labels, Grid(values, seeds=SEEDS, students=students), "all", None)

    both, probes = units(STUDENTS).units, units(None).units
    both[0].run(), probes[0].run()
    ours = reference = 0.0
    for with_students, alone in zip(both, probes, strict=True):
        for file in store.path.glob("neighbors-*"):
            file.unlink()
        ours += seconds(with_students.run)
        for file in store.path.glob("neighbors-*"):
            file.unlink()
        reference += seconds(alone.run)
    what = f"sweep, {LAYERS} layers of {TRAINING:,} x {WIDTH}, {len(STUDENTS.kinds)} students, {len(SEEDS)} seeds"
    return Line(what, ours, reference, "s", "the same sweep without students", ours / reference, 5.0, at_least=False)
