"""A sweep of thirteen layers beside one neighbour search and one path of penalties a layer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.data import activations
from tests.benchmarks.timing import Line, seconds
from w2s_probes import LogisticProbe
from w2s_probes.neighbors import search
from w2s_probes.probes.penalties import PENALTIES
from w2s_probes.rows.groups import group_ids
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter
from w2s_probes.sweep import Grid
from w2s_probes.sweep.grid import PUBLISHED_K
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import read_labels

LAYERS, TRAINING, HELD_OUT = 13, 10_000, 2_500


def cases() -> Iterator[Line]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        for width, truth in ((768, True), (4096, True), (768, False)):
            yield beside_its_parts(Path(folder), width, truth)


def beside_its_parts(folder: Path, width: int, truth: bool) -> Line:
    """Twenty k and eleven penalties of five folds: the sweep of each layer, and then what it cannot do without.

    The sweep reads the layer, scores 2,500 held-out rows too, and measures everything; the parts work on an array at
    hand. They take turns layer by layer; the first layer is done twice and not counted.
    """
    store = written(folder / f"{width}-{truth}", width)
    rng = np.random.default_rng(1)
    classes = np.arange(TRAINING + HELD_OUT) % 2
    label = np.clip(0.5 + (classes - 0.5) * rng.normal(0.5, 0.6, len(classes)), 0.01, 0.99)
    table = pd.DataFrame({"id": store.ids, "label": label, "split": ["train"] * TRAINING + ["test"] * HELD_OUT})
    if truth:
        table["truth"] = classes
    labels = read_labels(table, None, None, store.ids, "")
    units = SweepPlan.plan(store, labels, Grid({"knn": PUBLISHED_K, "logistic": PENALTIES}), "all", None).units

    def parts(layer: int) -> float:
        X = store.layer(layer, ids=labels[0].training.ids)
        ids = group_ids(X)
        return seconds(
            lambda: (search(X, max(PUBLISHED_K), group_ids=ids), LogisticProbe.path(X, labels[0].training.p))
        )

    units[0].run(), parts(0)
    for file in store.path.glob("neighbors-*"):
        file.unlink()
    ours = reference = 0.0
    for unit in units:
        ours += seconds(unit.run)
        reference += parts(unit.layer)
    what = f"sweep, {LAYERS} layers of {TRAINING:,} x {width}, 20 k + 11 l2" + ("" if truth else ", no truth")
    return Line(what, ours, reference, "s", "one search, one path", ours / reference, 1.5, at_least=False)


def written(path: Path, width: int, rows: int = TRAINING + HELD_OUT, layers: int = LAYERS) -> ActivationStore:
    """A float32 store of some layers."""
    names = [f"row-{i}" for i in range(rows)]
    X, factors = activations(rows, width)
    X[:, 0] += 2 * (np.arange(rows) % 2) * factors[:, 0].std()
    writer = StoreWriter.open(
        path,
        identity={"weights": "benchmark", "position": "last"},
        sites={layer: f"blocks.{layer}" for layer in range(layers)},
        depth=layers - 1,
        width=width,
        dtype="float32",
        ids=names,
        shard_rows=2_500,
    )
    for part in writer.missing():
        here = writer.rows_of(part)
        # Layers differ by a column's sign: as hard as each other, and no two alike.
        content = {}
        for layer in range(layers):
            content[layer] = X[here].copy()
            content[layer][:, layer] *= -1
        writer.write(part, Content(names[here], content))
    store = writer.finish({})
    assert store is not None
    return store
