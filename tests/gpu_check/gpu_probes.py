"""Neighbours, logistic paths and heads: the processor's numbers, and how many times faster."""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from w2s_probes import LogisticProbe
from w2s_probes.errors import InputError
from w2s_probes.losses import LOSSES
from w2s_probes.neighbors import Neighbors, search, search_some
from w2s_probes.probes.device_design import DeviceDesign
from w2s_probes.probes.penalties import PENALTIES
from w2s_probes.students import HeadLesson, HeadStudent, train_heads

from .checks import Check, Finding, Setting, clock

K = 50
SAMPLE = 200  # rows whose neighbours are searched for again on the processor
GRAPH, FITS = 5.0, 10.0  # times faster: the bars
OBJECTIVE = 1e-6  # above its minimum, relative: what a path promises
APART = 0.02  # probabilities of heads, whose hundreds of steps add up what products round


def activations(setting: Setting, rows: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rows (n, d) as a transformer has them, and soft labels (n,) that fifty of their factors explain.

    Variances that fall as 1/j in rotated coordinates, two outlier dimensions, a common offset.
    """
    draw = torch.Generator(setting.device).manual_seed(0)
    options: Any = {"generator": draw, "device": setting.device}
    factors = torch.randn(rows, width, **options)
    rotation = torch.linalg.qr(torch.randn(width, width, **options))[0]
    variances = 1 / torch.arange(1, width + 1, device=setting.device)
    X = (factors * (variances * width / variances.sum()).sqrt()) @ rotation
    X[:, 3] *= 100
    X[:, width // 2] *= 60
    X += torch.randn(width, **options)
    X[:, 3] += 300
    score = factors[:, :50].sum(dim=1) * (2 / 50**0.5) + 1.5 * torch.randn(rows, **options)
    return X.cpu().numpy(), score.sigmoid().double().cpu().numpy()


def graph(setting: Setting) -> Iterator[Finding]:
    """The exact graph, by the device and, for a share of the rows, by faiss."""
    rows, width = setting.of((100_000, 4096), (2000, 64))
    X, _ = activations(setting, rows, width)
    search(X[: K * 4], K // 4, index=setting.device)  # loads what the first search loads
    found: list[Neighbors] = []
    took = clock(lambda: found.append(search(X, K, index=setting.device)), setting.device)
    sample = np.random.default_rng(0).permutation(rows)[:SAMPLE]
    right = search_some(X, sample, K)
    other = float((found[0].indices[sample] != right.indices).mean())
    what = f"graph, k = {K}, {rows:,} x {width:,}: neighbours that are others"
    yield Finding("", what, other, "share", 0.0, f"exact, {SAMPLE} rows", other, 0.0, at_least=False)
    share = 50
    index: Any = faiss.IndexFlatL2(width)
    centred = X - X.mean(axis=0)
    index.add(centred)
    theirs = share * clock(lambda: index.search(centred[: rows // share], K + 1), "cpu")
    threads = faiss.omp_get_max_threads()
    beside = f"faiss, {threads} threads, {share} x one of {share} parts"
    bar = GRAPH if setting.size == "full" else None
    yield Finding("", f"graph, k = {K}, {rows:,} x {width:,}", took, "s", theirs, beside, theirs / took, bar)


def fits(setting: Setting) -> Iterator[Finding]:
    """Eleven penalties on all rows and without each of five folds."""
    rows, width = setting.of((10_000, 4096), (1200, 860))
    X, y = activations(setting, rows, width)
    small = DeviceDesign.of(X[:1200, :860], setting.device)
    LogisticProbe.path(small, y[:1200], l2=[1.0], cv=None)  # loads what the first fit loads
    paths: dict[str, Any] = {}
    l2, cv = setting.of((PENALTIES, 5), (PENALTIES[-4:], 2))

    def on(device: str | None, name: str) -> float:
        return clock(
            lambda: paths.update(
                {name: LogisticProbe.path(X if device is None else DeviceDesign.of(X, device), y, l2=l2, cv=cv)}
            ),
            setting.device,
        )

    ours, theirs = on(setting.device, "there"), on(None, "here")
    there, here = paths["there"], paths["here"]
    excess = float(there.excess.max())
    what = f"{there.status.size} fits, {rows:,} x {width:,}"
    known = "relative to the minimum"
    yield Finding(
        "", f"{what}: excess", excess, known, float(here.excess.max()), "CPU", excess, OBJECTIVE, at_least=False
    )
    apart = float(np.abs(there.cv_loss / here.cv_loss - 1).max())
    yield Finding("", f"{what}: held-out losses", apart, "relative", 0.0, "CPU", apart, 1e-3, at_least=False)
    bar = FITS if setting.size == "full" else None
    beside = f"this CPU, {torch.get_num_threads()} threads"
    yield Finding("", what, ours, "s", theirs, beside, theirs / ours, bar)


def heads(setting: Setting) -> Iterator[Finding]:
    """Heads of every loss, three seeds each."""
    rows, width, epochs = setting.of((5000, 4096, 4), (200, 60, 1))
    X, y = activations(setting, rows, width)
    lessons = [HeadLesson(y, loss=loss, epochs=epochs, seed=seed) for loss in LOSSES for seed in range(3)]
    taught: dict[str, list[HeadStudent | InputError]] = {}

    def on(device: str | None, name: str) -> float:
        return clock(lambda: taught.update({name: train_heads(X, lessons, device=device)}), setting.device)

    train_heads(X[:200], lessons[:3], device=setting.device)
    ours, theirs = on(setting.device, "there"), on(None, "here")
    apart = 0.0
    for there, here in zip(taught["there"], taught["here"], strict=True):
        assert isinstance(there, HeadStudent), there
        assert isinstance(here, HeadStudent), here
        apart = max(apart, float(np.abs(there.predict_proba(X) - here.predict_proba(X)).max()))
    what = f"{len(lessons)} heads, {rows:,} x {width:,}, {epochs} epochs"
    yield Finding("", f"{what}: probabilities", apart, "absolute", 0.0, "CPU", apart, APART, at_least=False)
    yield Finding("", what, ours, "s", theirs, "this CPU, one thread", theirs / ours)


CHECKS = [
    Check("neighbours", 75, graph),
    Check("logistic path", 45, fits),
    Check("heads", 45, heads),
]
