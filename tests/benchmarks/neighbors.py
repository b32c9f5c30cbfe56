"""Neighbour graphs beside faiss's exhaustive search, every k beside the largest, TopoFilter beside a dense one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from tests.benchmarks.data import activations
from tests.benchmarks.timing import Line, in_turns, seconds
from w2s_probes import KNNProbe, topo_filter
from w2s_probes.neighbors import nearest
from w2s_probes.neighbors.final_order import SearchRows
from w2s_probes.neighbors.screened_search import screened
from w2s_probes.neighbors.screening import full_precision

ROOT = Path(__file__).parents[2]
K = 50
TWENTY = [1, *range(5, 100, 5)]
FAISS = "faiss IndexFlatL2, centred"
# The largest resident size in kilobytes of a process that filters so many rows, and the seconds that it took.
MEASURE = (
    "import sys, time, numpy as np\n"
    "from tests.benchmarks.neighbors import two_classes\n"
    "from w2s_probes import topo_filter\n"
    "X, y = two_classes(int(sys.argv[1]))\n"
    "began = time.perf_counter()\n"
    "topo_filter(X, y)\n"
    "took = time.perf_counter() - began\n"
    "print(took, [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
)


def cases() -> Iterator[Line]:
    """The lines of the table."""
    X, _ = activations(10_000, 4096)
    gauss = np.random.default_rng(0).standard_normal((10_000, 4096), dtype=np.float32)
    yield graph("activations", X, 2.0)
    yield graph("Gaussian rows", gauss, 0.0)
    center = X.mean(axis=0)
    ours, theirs, ratio = in_turns(
        lambda: screened(SearchRows(X, X), center, K, (full_precision,)), lambda: by_faiss(X), times=3
    )
    yield Line("the same, activations, float32 products only", ours, theirs, "s", FAISS, ratio, 0.0)
    yield every_k()
    yield against_dense()
    _, peak = apart(20_000)
    yield Line("its peak memory, 20,000 x 512", peak, 1000.0, "MB", "1 GB", peak / 1000, 1.0, at_least=False)
    yield many(200_000)


def graph(name: str, X: NDArray[np.float32], bar: float) -> Line:
    """The exact graph of 10,000 rows."""
    ours, theirs, ratio = in_turns(lambda: nearest(X, K), lambda: by_faiss(X), times=5)
    found, rough = nearest(X, K), by_faiss(X)
    shares = [np.isin(a, b).mean() for a, b in zip(found.indices, rough, strict=True)]
    what = f"exact graph, k = {K}, 10,000 x 4,096 {name} (faiss has {np.mean(shares):.2%} of it)"
    return Line(what, ours, theirs, "s", FAISS, ratio, bar)


def by_faiss(X: NDArray[np.float32], queries: slice = slice(None)) -> NDArray[np.int64]:
    """What a researcher would write: centre, search one more, leave out oneself."""
    base = X - X.mean(axis=0)
    index: Any = faiss.IndexFlatL2(X.shape[1])
    index.add(base)
    _, found = index.search(base[queries], K + 1)
    return np.asarray(found[:, 1:])


def every_k() -> Line:
    """Twenty values of k beside the largest of them."""
    X, _ = activations(10_000, 1024)
    y = np.random.default_rng(1).random(10_000)
    ours, theirs, ratio = in_turns(
        lambda: KNNProbe.path(X, y, k=TWENTY), lambda: KNNProbe.path(X, y, k=[max(TWENTY)]), times=7
    )
    what = "kNN at 20 values of k, 10,000 x 1,024"
    return Line(what, ours, theirs, "s", "the largest k alone", 1 / ratio, 1.1, at_least=False)


def two_classes(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Activations (n, 512) of two classes and labels of which a fifth is wrong."""
    rng = np.random.default_rng(0)
    X, factors = activations(rows, 512)
    truth = factors[:, 0] > 0
    return X, np.where(rng.random(rows) < 0.2, ~truth, truth).astype(np.float64)


def against_dense() -> Line:
    """The whole filter of 20,000 rows with every distance and edge written out."""
    X, y = two_classes(20_000)
    ours = np.median([seconds(lambda: topo_filter(X, y)) for _ in range(3)])
    masks: list[NDArray[np.bool_]] = []
    theirs = seconds(lambda: masks.append(dense(X, y)))
    same = (masks[0] == topo_filter(X, y).mask).mean()
    what = f"TopoFilter, 20,000 x 512 ({same:.2%} of the rows judged alike)"
    return Line(what, float(ours), theirs, "s", "dense: N x N distances and edges", theirs / float(ours), 5.0)


def dense(X: NDArray[np.float32], y: NDArray[np.float64], k: int = K, contamination: float = 0.1) -> Any:
    """EleutherAI's form of the filter as one would write it down, in float32."""
    X = X - X.mean(axis=0)
    squares = (X * X).sum(axis=1)
    far = squares[:, None] + squares[None] - 2 * X @ X.T
    np.fill_diagonal(far, np.inf)
    edges = np.zeros(far.shape, dtype=bool)
    np.put_along_axis(edges, np.argpartition(far, k, axis=1)[:, :k], True, axis=1)
    edges &= (y > 0.5)[:, None] == (y > 0.5)
    _, component = connected_components(edges, directed=True, connection="strong")
    core = np.zeros(len(y), dtype=bool)
    for side in (False, True):
        names, sizes = np.unique(component[(y > 0.5) == side], return_counts=True)
        core |= component == names[np.argmax(sizes)]
    inside = np.flatnonzero(core)
    near = inside[np.argpartition(far[:, inside], k, axis=1)[:, :k]]
    score = np.abs(y - y[near].mean(axis=1))
    left = max(0, round(len(y) * contamination) - int((~core).sum()))
    mask = core.copy()
    mask[inside[np.argsort(score[inside], kind="stable")][len(inside) - left :]] = False
    return mask


def apart(rows: int) -> tuple[float, float]:
    """Seconds, and megabytes at the highest point, of a filter in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(rows)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    took, peak = done.stdout.split()
    return float(took), int(peak) / 1e3


def many(rows: int) -> Line:
    """As many rows as a large task has."""
    took, peak = apart(rows)
    X, _ = two_classes(rows)
    share = 50
    theirs = seconds(lambda: by_faiss(X, slice(0, rows // share))) * share
    what = f"TopoFilter, {rows:,} x 512 ({peak / 1e3:.1f} GB)"
    return Line(what, took, theirs, "s", f"faiss's search alone, {share} x one of {share} parts", theirs / took, 0.0)
