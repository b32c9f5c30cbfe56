"""Audits by people, simulated: how often intervals cover, and how near the share of wrong labels is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.conftest import ROOT
from tests.simulations.tables import table
from tests.w2s_probes.noise.test_model import Rows, flipped, misled
from w2s_probes import KNNProbe, noise_model, relabel
from w2s_probes.auditing.designs import DrawnBy, draw_rows
from w2s_probes.io.tables import read_table
from w2s_probes.metrics.audit_design import AuditDesign
from w2s_probes.noise import NoiseEstimate

AUDITS = 300
DRAWS: tuple[DrawnBy, ...] = ("uniform", "stratified", "disagreement")
WORLDS: dict[str, tuple[Callable[[np.random.Generator, int], Rows], int]] = {
    "flips of 10 and 30 %, fair probe": (lambda rng, n: flipped(rng, n, 2, 0.1, 0.3), 120),
    "flips of 5 %, good probe": (lambda rng, n: flipped(rng, n, 4, 0.05, 0.05), 100),
    "flips of 2 %, good probe": (lambda rng, n: flipped(rng, n, 4, 0.02, 0.02), 60),
    "probe misled, 24 %": (lambda rng, n: misled(rng, n, 2, 1), 100),
    "probe misled, 11 %": (lambda rng, n: misled(rng, n, 3.5, 1), 100),
}


def of_planted_audits() -> str:
    """Coverage of 95 % intervals of planted label sets of 1,000 rows, and the bias of a count."""
    lines = []
    for world, (make, m) in WORLDS.items():
        truth, weak, p = make(np.random.default_rng(0), 1000)
        wrong, by_class = (weak > 0.5) != truth, (weak > 0.5)
        for by in DRAWS:
            covered: dict[str, list[bool]] = {"powered": [], "hajek": [], "class": []}
            naive, values = [], []
            for model, design, rows in audits(weak, p, truth, by, m):
                hajek = design.share_of(wrong[rows])
                of_class = model.true_given_weak[0][1]
                covered["powered"].append(model.noise.low <= wrong.mean() <= model.noise.high)
                covered["hajek"].append(hajek.low <= wrong.mean() <= hajek.high)
                covered["class"].append(of_class.low <= wrong[~by_class].mean() <= of_class.high)
                naive.append(wrong[rows].mean() - wrong.mean())
                values.append(model.noise.value - wrong.mean())
            shares = [float(np.mean(covered[name])) for name in covered]
            lines.append([world, m, by, *shares, f"{np.mean(values):+.3f}", f"{np.mean(naive):+.3f}"])
    heads = [
        "labels",
        "audited",
        "drawn",
        "prediction-powered",
        "Hájek",
        "of one weak class",
        "bias",
        "bias of a count",
    ]
    return table(heads, lines)


def on_the_miniature() -> str:
    """Distance of the share of wrong labels from the true one, of 200 audited rows and of none."""
    from analyses.protocol import run
    from analyses.recipe.read import RECIPES, read_recipe

    lines = []
    with TemporaryDirectory() as folder:
        run(read_recipe(RECIPES / "demo.toml"), Path(folder) / "demo")
        for path in sorted((Path(folder) / "demo" / "labels").glob("*-0-weak.jsonl")):
            weak, truth, p = scored(path, Path(folder) / path.stem)
            rate = float(((weak > 0.5) != truth).mean())
            joint = noise_model(weak, p)
            apart = abs(joint.noise.value - rate)
            for by in DRAWS:
                found = np.array([model.noise.value for model, _, _ in audits(weak, p, truth, by, 200)]) - rate
                gap = np.abs(found)
                ends = [float(np.median(gap)), float(np.quantile(gap, 0.9)), float((gap < apart).mean())]
                lines.append([path.name.removesuffix("-0-weak.jsonl"), rate, joint.noise.value, apart, by, *ends])
    heads = [
        "task",
        "truly wrong",
        "confident joint",
        "its distance",
        "200 rows drawn",
        "median distance",
        "9 in 10 below",
    ]
    return table([*heads, "nearer than the joint"], lines)


def scored(path: Path, out: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Weak labels, the side of their truth, and kNN's out-of-sample scores at layer 2, of a file's training rows."""
    from extract.extractor import Extraction, extract

    rows: pd.DataFrame = read_table(path)
    rows = rows[(rows["split"] == "train").to_numpy()].reset_index(drop=True)
    extract(Extraction.plan(str(ROOT / "data" / "miniature" / "strong"), rows, layers="2"), out)
    from w2s_probes import ActivationStore

    X = ActivationStore.open(out).layer(2, ids=rows["id"].to_numpy(dtype=object))
    weak = rows["label"].to_numpy(dtype=np.float64)
    return weak, rows["truth"].to_numpy(dtype=np.float64) > 0.5, relabel(KNNProbe(50), X, weak)


def audits(
    weak: NDArray[np.float64], p: NDArray[np.float64], truth: NDArray[np.bool_], by: DrawnBy, m: int
) -> Iterator[tuple[NoiseEstimate, AuditDesign, NDArray[np.intp]]]:
    """Simulated audits: the noise model, its design, and the rows."""
    positive = weak > 0.5
    f = None if by == "uniform" else np.where(positive, 1 - p, p)
    for seed in range(AUDITS):
        drawn = draw_rows(by, positive, m, f=f, seed=seed)
        design = AuditDesign.of(drawn.inclusion[drawn.rows], drawn.strata[drawn.rows])
        yield noise_model(weak, p, audited=(drawn.rows, truth[drawn.rows]), design=design), design, drawn.rows
