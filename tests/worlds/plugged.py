"""Plugins and packages that add to registries, and registries that a test leaves as they were."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

from tests.conftest import ROOT
from w2s_probes import plugins
from w2s_probes.registries import REGISTRIES, installed

# A probe, a loss, a reader and an exporter; a method is in METHOD, since it needs torch.
PLUGIN = """
import numpy as np
import pandas as pd
from scipy.special import expit
from w2s_probes.export import EXPORTERS, Exporter
from w2s_probes.io.readers import READERS
from w2s_probes.losses import LOSSES
from w2s_probes.probes import PROBES, Probe, ProbeEntry

FACTOR = 1.0


class MeansProbe(Probe):
    def __init__(self, l2: float = 0.25) -> None:
        self.l2 = l2

    def _fit(self, X, p):
        means = [np.average(X, axis=0, weights=weights) for weights in (1 - p, p)]
        self.coef_ = FACTOR * (means[1] - means[0]) / (X.var(axis=0) + self.l2)
        self.intercept_ = float(-(means[0] + means[1]) @ self.coef_ / 2)

    def _score(self, X):
        return np.asarray(expit(X @ self.coef_ + self.intercept_))


def mine(logits, soft, q=0.7, *, weight=None):
    f = logits.softmax(dim=-1)[..., 1]
    rows = soft * (1 - f**q) / q + (1 - soft) * (1 - (1 - f) ** q) / q
    return (rows if weight is None else rows * weight).mean(dim=-1)


def read_tsv(path):
    return pd.read_csv(path, sep="\\t", dtype=str, keep_default_na=False)


def write_words(rows, place, about):
    words = ["yes" if p > 0.5 else "no" for p in rows.p]
    place.write_text("".join(f"{one} {word}\\n" for one, word in zip(rows.ids, words, strict=True)))


PROBES["means"] = ProbeEntry("means", "Means", "l2", 0.25, MeansProbe, "Shrinkage of means")
LOSSES["mine"] = mine
READERS[".tsv"] = read_tsv
EXPORTERS["words"] = Exporter(write_words, (".txt",))
"""
METHOD = """
from analyses.experiment import Method
from analyses.methods import METHODS


def agreement(experiment):
    agree = (experiment.out_of_sample_scores("knn") > 0.5) == (experiment.weak_train > 0.5)
    student = yield experiment.lesson(experiment.weak_train, agree, loss="xent")
    return experiment.outcome(student)


METHODS["agreement"] = Method(agreement)
"""

MINIATURE = ROOT / "data" / "miniature"


def small_recipe_text(methods: list[str], *, top: str = "", student: str = "", probes: str = "") -> str:
    """A recipe of one task of the miniature and one seed, small enough for a test, with further lines of its tables."""
    return f"""
{top}
methods = {json.dumps(methods)}
seeds = [0]
n_boot = 100
[data]
tasks = ["miniature_price"]
folder = "{MINIATURE / "rows"}"
n_train = 200
n_val = 60
n_test = 200
[weak]
n_truth = 100
[strong]
model = "{MINIATURE / "strong"}"
[student]
epochs = 20
{student}
{probes}
"""


@contextmanager
def registries_as_they_are() -> Iterator[None]:
    """A block after which every registry, and what is known of plugins and packages, is as it was before."""
    given = {registry.group: (registry, dict(registry._given), registry._points) for registry in REGISTRIES}
    loaded, modules = dict(plugins._loaded), set(sys.modules)
    look_again()
    try:
        yield
    finally:
        for registry in REGISTRIES:
            _, registry._given, registry._points = given.get(registry.group, (registry, {}, None))
        plugins._loaded.clear()
        plugins._loaded.update(loaded)
        for name in set(sys.modules) - modules:
            if name.startswith((plugins.PREFIX, "added_")):
                del sys.modules[name]
        installed.cache_clear()


def look_again() -> None:
    """Have installed packages be looked for anew."""
    invalidate_caches()
    installed.cache_clear()
    for registry in REGISTRIES:
        registry._points = None


def install(
    folder: Path, name: str, files: Mapping[str, str], points: Mapping[str, Mapping[str, str]], version: str = "1.0"
) -> Path:
    """A package in a folder as pip leaves one: files, and metadata with its entry points, by the registry's name.

    Without files the metadata alone.
    """
    for file, text in {"__init__.py": "", **files}.items() if files else ():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / file).write_text(text)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, entries in points.items():
        lines += [f"[w2s_probes.{group}]", *(f"{entry} = {value}" for entry, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
