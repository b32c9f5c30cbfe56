"""Coverage of 95 % intervals where the truth is known: by seeds, groups, gaps, and of single AUROCs near 1."""

import numpy as np
from scipy.stats import norm

from tests.simulations.tables import table
from tests.worlds.binormal import Study, coverage
from w2s_probes import auroc, performance_gap_recovered
from w2s_probes.metrics.influence import ranking
from w2s_probes.metrics.recovery import bootstrap
from w2s_probes.metrics.resampling import interval

EXPERIMENTS = 500
COLUMNS = ("PGR", "gain", "AUROC", "difference", "status ok")


def _line(study: Study) -> list[float]:
    found = coverage(study, EXPERIMENTS)
    return [found.pgr, found.gain, found.value, found.difference, found.ok]


def by_seeds() -> str:
    """One seed holds the rows alone; more hold the scatter between seeds."""
    rows = []
    for seeds in (1, 2, 3, 5, 10):
        for scatter in (0.0, 0.01, 0.02, 0.04):
            rows.append([seeds, scatter, *_line(Study(rows=1000, weak=0.6, gap=0.2, seeds=seeds, scatter=scatter))])
    return table(["seeds", "SD between seeds", *COLUMNS], rows)


def by_groups() -> str:
    """Rows of a group are of one class and have the same scores."""
    rows = []
    for per_group, size in ((2, 600), (3, 600), (6, 600), (15, 1500)):
        for told in (True, False):
            study = Study(rows=size, gap=0.2, seeds=3, scatter=0.01, per_group=per_group, ignored=not told)
            rows.append([per_group, size // per_group, "yes" if told else "no", *_line(study)])
    return table(["rows a group", "groups", "groups given", *COLUMNS], rows)


def by_gap() -> str:
    """A small gap is called unstable, and its interval is then open or wide."""
    rows = []
    for gap in (0.02, 0.05, 0.1, 0.2):
        for size in (300, 2000):
            rows.append([gap, size, *_line(Study(rows=size, gap=gap, seeds=3, scatter=0.005))])
    return table(["gap", "test rows", *COLUMNS], rows)


def of_single_aurocs() -> str:
    """DeLong's interval on the logit scale beside the percentile bootstrap, for AUROCs near 1."""
    rows = []
    for true in (0.8, 0.95, 0.99):
        for size in (60, 100, 400):
            rng = np.random.default_rng(size)
            hits = {"logit": [], "bootstrap": []}  # type: dict[str, list[bool]]
            for experiment in range(EXPERIMENTS // 2):
                positive = np.arange(size) % 2 == 0
                scores = rng.normal(size=size) + np.sqrt(2) * norm.ppf(true) * positive
                measured = ranking(positive, scores)
                assert measured is not None
                ends = measured.share(None)
                hits["logit"].append(ends.low <= true <= ends.high)
                drawn = bootstrap(positive, {"s": scores}, "auroc", 400, experiment)["s"]
                low, high = interval(drawn)
                hits["bootstrap"].append(low <= true <= high)
            rows.append([true, size, float(np.mean(hits["logit"])), float(np.mean(hits["bootstrap"]))])
    return table(["AUROC", "test rows", "logit DeLong", "percentile bootstrap"], rows)


def hard_labels_pgr(seed: int, rows: int = 2000) -> tuple[float, float]:
    """PGR in AUROC of a student that repeats a supervisor whose labels were hardened: now, and as it would be."""
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) % 2
    shared = rng.normal(size=rows)
    soft, ceiling = (
        1 / (1 + np.exp(-(shared + rng.normal(size=rows) + apart * (truth - 0.5)))) for apart in (1.2, 3.0)
    )
    hard = (soft > 0.5).astype(float)
    now = performance_gap_recovered(truth, hard, soft, ceiling, n_boot=50).value
    weak = auroc(truth, hard)
    return now, (auroc(truth, soft) - weak) / (auroc(truth, ceiling) - weak)
