"""The one tidy table of results: a line for each task, seed, method and metric, and for all seeds together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.metrics.influence import mean
from w2s_probes.metrics.intervals import Estimate
from w2s_probes.metrics.question_accuracy import question_hits
from w2s_probes.metrics.recovery import Metric, bootstrap, gap_recovered, hard_labels, hardened, mean_metric
from w2s_probes.metrics.recovery_over_seeds import (
    GapRecoveredOverSeeds,
    ModelMeans,
    SeedResults,
    gap_recovered_over_seeds,
)
from w2s_probes.metrics.resampling import resamples
from w2s_probes.rows.groups import group_numbers, groups_of
from w2s_probes.stats import agreement

from ..experiment.outcomes import Outcome
from .names import (
    CEILING,
    COMMON,
    HARD,
    PROBE,
    RESULT_COLUMNS,
    ROWS_ONLY,
    WEAK,
    is_ceiling,
    is_reference,
    own_ceiling,
)
from .unreadable_pgr import lines_over_seeds

QUESTIONS = "question_accuracy"


@dataclass(frozen=True)
class TrialResult:
    """The outcomes of all methods for one task and seed, and the truth that evaluates them."""

    test: pd.DataFrame  # id, label
    candidates: pd.DataFrame | None  # question, label
    outcomes: Mapping[str, Outcome]  # weak and ceiling beside the methods
    oracles: frozenset[str]  # those that read ground truth to train or to choose
    seed: int
    layer: int
    ceilings: Mapping[str, str] = field(default_factory=dict)  # of methods that have one of their own

    @property
    def groups(self) -> NDArray[np.object_] | None:
        """The groups (n_test,) of related test rows; None where no two rows are related."""
        return groups_of(self.test)

    @property
    def truth(self) -> NDArray[np.float64]:
        """The true labels of the test rows (n_test,)."""
        return self.test["label"].to_numpy(dtype=np.float64)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """P(label = 1) of the test rows by each method: (n_test,), or (draws, n_test)."""
        return {name: outcome.scores["test"] for name, outcome in self.outcomes.items()}


def task_rows(task: str, runs: Mapping[int, TrialResult], n_boot: int) -> list[dict[str, Any]]:
    """The lines of one task: by seed and, where there are several, over all of them, with `seed` left empty."""
    rows = [line for judged in runs.values() for line in seed_rows(task, judged, n_boot)]
    return rows if len(runs) == 1 else rows + pooled_rows(task, list(runs.values()))


def seed_rows(task: str, judged: TrialResult, n_boot: int) -> list[dict[str, Any]]:
    """AUROC, accuracy, PGR and agreement of every method, on the same test rows.

    Intervals of values are DeLong's, of PGR those of a bootstrap, paired over all methods; by groups of test rows
    where there are any. They hold the choice of the rows alone (status "rows only"). Ceilings read ground truth to
    train and to stop, and are marked as oracles; so are methods declared as one.
    """
    rows: list[dict[str, Any]] = []
    truth, scores = judged.truth, judged.scores
    for metric in get_args(Metric):
        means = ModelMeans.of(truth, [scores], metric, judged.groups)
        values = {name: means.means.proportion(means.weights(name)) for name in scores}
        hard = metric == "auroc" and hard_labels(scores[WEAK])
        compared = {name: hardened(s) for name, s in scores.items()} if hard else scores
        draws = bootstrap(truth, compared, metric, n_boot, judged.seed, groups=judged.groups)
        points = {name: mean_metric(metric, truth, s) for name, s in compared.items()}
        rows += _metric_rows(task, judged, metric, values, points, draws, len(truth), hard=hard)
    if judged.candidates is not None:
        rows += _question_rows(task, judged, judged.candidates, n_boot)
    for name in [name for name in scores if name != WEAK]:
        agreed = agreement(scores[name], scores[WEAK], truth, groups=judged.groups)
        line = _common(task, judged, name, len(truth)) | {"status": ROWS_ONLY}
        rows.append(line | {"metric": "agreement", **_ends(agreed.share)})
        if agreed.on_errors is not None and agreed.errors:
            part = {"metric": "agreement_on_errors", **_ends(agreed.on_errors)}
            rows.append(line | part | {"n": agreed.errors, "oracle": True})
    return rows


def _question_rows(task: str, judged: TrialResult, candidates: pd.DataFrame, n_boot: int) -> list[dict[str, Any]]:
    """The share of questions whose highest-scored candidate is right; empty where the supervisor has no scores."""
    right, asked = candidates["label"].to_numpy(), candidates["question"].to_numpy(dtype=object)
    scored = {name: outcome.scores for name, outcome in judged.outcomes.items() if "candidates" in outcome.scores}
    hits = {
        name: np.mean([question_hits(asked, right, one)[1] for one in np.atleast_2d(scores["candidates"])], axis=0)
        for name, scores in scored.items()
    }
    if not hits:
        return []
    n = len(next(iter(hits.values())))
    groups = _question_groups(candidates)
    both = np.arange(n) % 2 == 0  # hits have no classes that a resample could lack
    counts = np.concatenate(list(resamples(both, n_boot, judged.seed, groups)))
    draws = {name: counts @ hit / counts.sum(axis=1) for name, hit in hits.items()}
    points = {name: float(hit.mean()) for name, hit in hits.items()}
    values = {name: mean(hit).share(groups) for name, hit in hits.items()}
    return _metric_rows(task, judged, QUESTIONS, values, points, draws, n)


def _question_groups(candidates: pd.DataFrame) -> NDArray[np.intp] | None:
    """The group of each question, in order of appearance; None where no two are related."""
    questions = candidates.drop_duplicates("question")
    return group_numbers(groups_of(questions), len(questions))


def _metric_rows(
    task: str,
    judged: TrialResult,
    metric: str,
    values: Mapping[str, Estimate],
    points: Mapping[str, float],
    draws: Mapping[str, NDArray[np.float64]],
    n: int,
    *,
    hard: bool = False,
) -> list[dict[str, Any]]:
    """Each method's value, and its PGR where weak supervisor and ceiling have values, too.

    `points` and `draws` are what PGR is made of: of hardened scores where the supervisor's are labels.
    """
    rows = []
    for name, value in values.items():
        common = _common(task, judged, name, n)
        rows.append(common | {"metric": metric, **_ends(value), "status": ROWS_ONLY})
        if is_reference(name):
            continue
        for ceiling, ending in _ceilings(judged.ceilings, name):
            if WEAK in points and ceiling in points:
                pgr = gap_recovered(
                    points[WEAK], points[name], points[ceiling], draws[WEAK], draws[name], draws[ceiling], hard=hard
                )
                line = {"metric": f"pgr_{metric}{ending}", "value": pgr.value, "low": pgr.low, "high": pgr.high}
                line |= {"gap": pgr.gap, "gap_low": pgr.gap_low, "gap_high": pgr.gap_high}
                rows.append(common | line | {"status": _one_seed(pgr.status)})
    return rows


def _ceilings(own: Mapping[str, str], name: str) -> list[tuple[str, str]]:
    """The ceilings against which a method's PGR is given, each with the ending of the metric's name."""
    return [(own[name], ""), (CEILING, COMMON)] if name in own else [(CEILING, "")]


def _one_seed(status: str) -> str:
    """The status of a PGR of one seed, whose interval holds the test rows alone."""
    return {"ok": ROWS_ONLY, "undefined": status}.get(status, f"{status}; {ROWS_ONLY}")


def _ends(estimate: Estimate | GapRecoveredOverSeeds) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def by_seeds(runs: Sequence[TrialResult]) -> list[tuple[list[TrialResult], list[str]]]:
    """The methods by the set of seeds that have them, with the results of these seeds."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name in dict.fromkeys(name for run in runs for name in run.scores):
        found.setdefault(tuple(i for i, run in enumerate(runs) if name in run.scores), []).append(name)
    return [([runs[i] for i in seeds], names) for seeds, names in found.items()]


def over_seeds(runs: Sequence[TrialResult], names: Sequence[str], metric: Metric) -> SeedResults:
    """The results of these methods, of the supervisor and of the ceilings over seeds."""
    references = [name for name in runs[0].scores if is_reference(name)]
    wanted = dict.fromkeys([*references, *names])
    scores = [{name: run.scores[name] for name in wanted if name in run.scores} for run in runs]
    own = {name: ceiling for name, ceiling in runs[0].ceilings.items() if all(ceiling in one for one in scores)}
    return gap_recovered_over_seeds(runs[0].truth, scores, metric, groups=runs[0].groups, ceilings=own)


def pooled_rows(task: str, runs: list[TrialResult]) -> list[dict[str, Any]]:
    """Means over seeds: values, gains over the supervisor, PGR, with intervals by test rows and seeds.

    A method that some seeds lack is averaged, and compared, over those that have it.
    """
    rows = []
    for metric in get_args(Metric):
        for those, names in by_seeds(runs):
            results = over_seeds(those, names, metric)
            for name in names:
                common = _common(task, those[0], name, len(those[0].truth)) | {"seed": None, "seeds": len(those)}
                lines: list[tuple[str, Estimate | GapRecoveredOverSeeds, str]] = [(metric, results.values[name], "ok")]
                if is_ceiling(name):
                    lines.append((f"gap_{metric}", results.difference(name, WEAK), "ok"))
                if name in results.recovered:
                    pgr = results.recovered[name]
                    lines += [(f"gain_{metric}", pgr.gain, "ok"), (f"pgr_{metric}", pgr, pgr.status)]
                if name in those[0].ceilings:
                    common_gap = results.against_common(name)
                    lines.append((f"pgr_{metric}{COMMON}", common_gap, common_gap.status))
                for kind, estimate, status in lines:
                    status = status if len(those) > 1 else _one_seed(status)
                    line = common | {"metric": kind, **_ends(estimate), "status": status}
                    if isinstance(estimate, GapRecoveredOverSeeds):
                        gap = estimate.gap
                        line |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
                    rows.append(line)
    return rows


def _common(task: str, judged: TrialResult, name: str, n: int) -> dict[str, Any]:
    outcome = judged.outcomes[name]
    return {
        "task": task,
        "seed": judged.seed,
        "method": name,
        "probe": outcome.probe,
        "layer": None if name == "weak" else judged.layer,
        "k": outcome.k,
        "l2": outcome.l2,
        "contamination": outcome.contamination,
        "alpha": outcome.alpha,
        "n": n,
        "seeds": 1,
        "oracle": name in judged.oracles,
    }


def results_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table with the columns of results.csv; whole numbers stay whole where some are missing."""
    return pd.DataFrame(rows, columns=RESULT_COLUMNS).astype({"layer": "Int64", "k": "Int64", "seed": "Int64"})


def summary(results: pd.DataFrame, metric: Metric = "auroc") -> pd.DataFrame:
    """One line for each task and method, over all seeds: weak, ceiling, student, and PGR with interval and status.

    `ceiling` is the method's own. An oracle's method is marked by a star. On a task whose supervisor gives hard
    labels the figures are of accuracy, and `metric` says so: AUROC cannot compare labels with scores.
    """
    lines = []
    for task, part in results.groupby("task", sort=False):
        chosen = lines_over_seeds(part)
        hard = chosen[chosen["metric"] == f"pgr_{metric}"]["status"].str.contains(HARD).any()
        shown = "accuracy" if hard else metric
        plain = chosen[chosen["metric"] == shown].set_index("method")["value"].to_dict()
        for pgr in chosen[chosen["metric"] == f"pgr_{shown}"].to_dict(orient="records"):
            own = own_ceiling(pgr["method"].removeprefix(PROBE))
            lines.append(
                {
                    "task": task,
                    "method": pgr["method"] + ("*" if pgr["oracle"] else ""),
                    "metric": shown,
                    "weak": plain[WEAK],
                    "ceiling": plain.get(own, plain[CEILING]),
                    "student": plain[pgr["method"]],
                    "pgr": format_interval(pgr["value"], pgr["low"], pgr["high"]),
                    "status": pgr["status"],
                }
            )
    return pd.DataFrame(lines)


def format_interval(value: float, low: float, high: float) -> str:
    """`0.75 [0.69, 0.81]`, or a dash where there is no value."""
    return "-" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
