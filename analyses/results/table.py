"""The one tidy table of results: a line for each task, seed, method and metric, and for all seeds together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.metrics.influence import mean
from w2s_probes.metrics.intervals import Estimate
from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric
from w2s_probes.metrics.question_accuracy import question_hits
from w2s_probes.metrics.recovery import bootstraps, gap_recovered, hard_labels, hardened, mean_metric
from w2s_probes.metrics.recovery_over_seeds import (
    GapRecoveredOverSeeds,
    ModelMeans,
    SeedResults,
    gap_recovered_over_seeds,
)
from w2s_probes.metrics.resampling import resamples
from w2s_probes.rows.groups import group_numbers, groups_of
from w2s_probes.stats import agreement

from ..recipe.ensemble_layers import LAYERS
from .names import (
    CEILING,
    COMMON,
    FROM_BASE,
    PROBE,
    RESULT_COLUMNS,
    ROWS_ONLY,
    TEST,
    WEAK,
    is_ceiling,
    is_reference,
    own_ceiling,
)
from .trial_result import TrialResult, by_seeds

QUESTIONS = "question_accuracy"
OF_NO_LAYER = (WEAK, PROBE + LAYERS, own_ceiling(LAYERS))  # what reads none, or several


def task_rows(
    task: str, runs: Mapping[int, TrialResult], n_boot: int, metrics: Sequence[Metric] = DEFAULT_METRICS
) -> list[dict[str, Any]]:
    """The lines of one task: by seed and, where there are several, over all of them, with `seed` left empty.

    Those of its own test set come first, then those of every other one.
    """
    rows: list[dict[str, Any]] = []
    for test_set in next(iter(runs.values())).test_sets:
        of_set = {seed: judged.on(test_set) for seed, judged in runs.items()}
        lines = [line for judged in of_set.values() for line in seed_rows(task, judged, n_boot, metrics)]
        if len(runs) > 1:
            lines += pooled_rows(task, list(of_set.values()), metrics)
        rows += [line | {"test_set": test_set} for line in lines]
    return rows


def seed_rows(
    task: str, judged: TrialResult, n_boot: int, metrics: Sequence[Metric] = DEFAULT_METRICS
) -> list[dict[str, Any]]:
    """The metrics, PGR and agreement of every method, on the same test rows.

    Intervals of values are DeLong's, or those of other influence functions; of PGR in AUROC and accuracy those of a
    bootstrap, paired over all methods, of PGR in other metrics Fieller's; by groups of test rows where there are any.
    They hold the choice of the rows alone (status "rows only"). Ceilings read ground truth to train and to stop, and
    are marked as oracles; so are methods declared as one.
    """
    rows: list[dict[str, Any]] = []
    truth, scores = judged.truth, judged.scores
    hard = hard_labels(scores[WEAK])
    compared = {"auroc": {name: hardened(s) for name, s in scores.items()} if hard else scores, "accuracy": scores}
    wanted = [(metric, compared[metric]) for metric in DEFAULT_METRICS]
    drawn = bootstraps(truth, wanted, n_boot, judged.seed, groups=judged.groups)
    for (metric, of), draws in zip(wanted, drawn, strict=True):
        means = ModelMeans.of(truth, [scores], metric, judged.groups)
        values = {name: means.value(name) for name in scores}
        points = {name: mean_metric(metric, truth, s) for name, s in of.items()}
        ranked = hard and metric == "auroc"
        rows += _metric_rows(task, judged, metric, values, points, draws, len(truth), hard=ranked)
    for metric in metrics:
        if metric not in DEFAULT_METRICS:
            rows += _rows_over(task, [judged], list(scores), metric, seed=judged.seed)
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
        for weak, ceiling, kind in _pgr_of(judged, name, metric):
            if weak in points and ceiling in points:
                pgr = gap_recovered(
                    points[weak], points[name], points[ceiling], draws[weak], draws[name], draws[ceiling], hard=hard
                )
                line = {"metric": kind, "value": pgr.value, "low": pgr.low, "high": pgr.high}
                line |= {"gap": pgr.gap, "gap_low": pgr.gap_low, "gap_high": pgr.gap_high}
                rows.append(common | line | {"status": _one_seed(pgr.status)})
    return rows


def _pgr_of(judged: TrialResult, name: str, metric: str) -> list[tuple[str, str, str]]:
    """The supervisors and ceilings between which a method's PGR is given, each with the PGR's name."""
    ceiling = judged.ceilings.get(name, CEILING)
    wanted = [(WEAK, ceiling, f"pgr_{metric}")]
    wanted += [(WEAK, CEILING, f"pgr_{metric}{COMMON}")] if name in judged.ceilings else []
    return wanted + ([(judged.base, ceiling, f"pgr_{FROM_BASE}{metric}")] if judged.counts_from_base(name) else [])


def _one_seed(status: str) -> str:
    """The status of a PGR of one seed, whose interval holds the test rows alone."""
    return {"ok": ROWS_ONLY, "undefined": status}.get(status, f"{status}; {ROWS_ONLY}")


def _ends(estimate: Estimate | GapRecoveredOverSeeds) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def over_seeds(runs: Sequence[TrialResult], names: Sequence[str], metric: Metric) -> SeedResults:
    """The results of these methods, of the supervisor and of the ceilings over seeds."""
    everywhere = [name for name in runs[0].scores if all(name in run.scores for run in runs)]
    wanted = [name for name in everywhere if is_reference(name) or name in (*names, runs[0].base)]
    scores = [{name: run.scores[name] for name in wanted} for run in runs]
    own = {name: ceiling for name, ceiling in runs[0].ceilings.items() if {name, ceiling} <= set(wanted)}
    return gap_recovered_over_seeds(runs[0].truth, scores, metric, groups=runs[0].groups, ceilings=own)


def pooled_rows(
    task: str, runs: list[TrialResult], metrics: Sequence[Metric] = DEFAULT_METRICS
) -> list[dict[str, Any]]:
    """Means over seeds: values, gains over the supervisor, PGR, with intervals by test rows and seeds.

    A method that some seeds lack is averaged, and compared, over those that have it. Gains and gaps count what is
    better above 0, of losses too.
    """
    return [
        line
        for metric in metrics
        for those, names in by_seeds(runs)
        for line in _rows_over(task, those, names, metric, seed=None)
    ]


def _rows_over(
    task: str, runs: list[TrialResult], names: Sequence[str], metric: Metric, *, seed: int | None
) -> list[dict[str, Any]]:
    """The lines of these methods in one metric, over all these runs; of a single `seed` values and PGR alone."""
    rows = []
    results = over_seeds(runs, names, metric)
    for name in names:
        common = _common(task, runs[0], name, len(runs[0].truth)) | {"seed": seed, "seeds": len(runs)}
        common |= _settings_of_all([_common(task, run, name, 0) for run in runs])
        common |= {"trusted": max(run.outcomes[name].trusted for run in runs)}
        lines: list[tuple[str, Estimate | GapRecoveredOverSeeds, str]] = [(metric, results.values[name], "ok")]
        pgr = results.recovered.get(name)
        if is_ceiling(name):
            lines.append((f"gap_{metric}", results.improvement(name, WEAK), "ok"))
        elif name != WEAK:
            lines.append((f"gain_{metric}", pgr.gain if pgr else results.improvement(name, WEAK), "ok"))
        if pgr:
            lines.append((f"pgr_{metric}", pgr, pgr.status))
            if name in runs[0].ceilings:
                common_gap = results.against_common(name)
                lines.append((f"pgr_{metric}{COMMON}", common_gap, common_gap.status))
            if all(run.counts_from_base(name) for run in runs):
                from_base = results.against_base(name, runs[0].base, runs[0].ceilings.get(name, CEILING))
                lines.append((f"pgr_{FROM_BASE}{metric}", from_base, from_base.status))
        for kind, estimate, status in lines:
            if seed is not None and kind in (f"gap_{metric}", f"gain_{metric}"):
                continue
            status = status if len(runs) > 1 else _one_seed(status)
            line = common | {"metric": kind, **_ends(estimate), "status": status}
            if isinstance(estimate, GapRecoveredOverSeeds):
                gap = estimate.gap
                line |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
            rows.append(line)
    return rows


def _settings_of_all(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of a method that all seeds share; empty where seeds have chosen different ones."""
    return {
        name: lines[0][name] if len({line[name] for line in lines}) == 1 else None
        for name in ("layer", "k", "l2", "contamination", "alpha")
    }


def _common(task: str, judged: TrialResult, name: str, n: int) -> dict[str, Any]:
    outcome = judged.outcomes[name]
    return {
        "task": task,
        "test_set": TEST,
        "seed": judged.seed,
        "method": name,
        "probe": outcome.probe,
        "layer": None if name in OF_NO_LAYER else judged.layer if outcome.layer is None else outcome.layer,
        "k": outcome.k,
        "l2": outcome.l2,
        "contamination": outcome.contamination,
        "alpha": outcome.alpha,
        "n": n,
        "seeds": 1,
        "oracle": name in judged.oracles,
        "trusted": outcome.trusted,
    }


def results_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table with the columns of results.csv; whole numbers stay whole where some are missing."""
    return pd.DataFrame(rows, columns=RESULT_COLUMNS).astype({"layer": "Int64", "k": "Int64", "seed": "Int64"})
