"""One layer of the published sweep, whose 33 are alike: seconds and processor time, times 33."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.sweep import written
from tests.benchmarks.timing import Line
from w2s_probes.probes.penalties import PENALTIES
from w2s_probes.sweep import Grid
from w2s_probes.sweep.grid import PUBLISHED_K
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import read_labels

LAYERS, ROWS, WIDTH = 33, 5_000, 4_096
MINUTES = 3  # for one task, on two cores


def cases() -> Iterator[Line]:
    """The lines of the table: the layer is swept once, in the seconds that passed and in processor time."""
    with tempfile.TemporaryDirectory() as folder:
        store = written(Path(folder) / "store", WIDTH, ROWS, layers=1)
        rng = np.random.default_rng(1)
        classes = np.arange(ROWS) % 2
        label = np.clip(0.5 + (classes - 0.5) * rng.normal(0.5, 0.6, ROWS), 0.01, 0.99)
        table = pd.DataFrame({"id": store.ids, "label": label, "truth": classes})
        labels = read_labels(table, None, None, store.ids, "")
        plan = SweepPlan.plan(store, labels, Grid({"knn": PUBLISHED_K, "logistic": PENALTIES}), "all", None)
        passed, used = time.perf_counter(), time.process_time()
        plan.units[0].run()
        passed, used = time.perf_counter() - passed, time.process_time() - used
    what = f"the published sweep of one task, {LAYERS} layers of {ROWS:,} x {WIDTH:,}: {LAYERS} x one layer"
    cores = min(2, os.cpu_count() or 1)
    for seconds, unit in ((passed, "s"), (used / cores, f"s of processor time on each of {cores} cores")):
        ours = LAYERS * seconds
        yield Line(what, ours, 60 * MINUTES, unit, f"{MINUTES} minutes", ours / 60 / MINUTES, 1.0, at_least=False)
