"""Controls of filters: rows removed at random, by the supervisor's confidence, or by the truth."""

import numpy as np
from numpy.typing import NDArray

from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.filtering.matched_controls import matched_removal
from w2s_probes.filtering.shares import share_of
from w2s_probes.labels.verdicts import KEPT
from w2s_probes.probes.graph_smoothing import out_of_fold
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import group_ids, group_numbers
from w2s_probes.ties import levels

from ..experiment import Experiment, FilterDecision, Lessons, Outcome
from .by_name import METHODS

DRAWS = 5  # of a random control: their spread is known to a third of itself, and enters the error of the comparison


def random_control(experiment: Experiment, *, of: str) -> Lessons:
    """Teach students without random rows, as many of each weak class as the filter `of` drops.

    The filter decides first; then, `DRAWS` times, as many rows of each class go from as many groups
    (`matched_removal`), and a student is taught what the filter's student would have been of the rest. A
    draw has scores of its own: the mean of their metrics is the control's value, and their spread part of its error.
    """
    decide = METHODS[of].removal  # of a filter that the user may have added
    assert decide is not None  # `find_methods` refuses it
    removal = decide(experiment)
    gone, positive = ~removal.result.mask, experiment.weak_train > 0.5
    groups = group_numbers(experiment.groups, len(gone))
    lessons = []
    for draw in range(DRAWS):
        rng = stream(experiment.seed, "random control", of, draw)
        lessons.append(experiment.lesson(removal.labels, ~matched_removal(gone, positive, groups, rng)))
    students = yield lessons
    drawn = [experiment.evaluated(student.scores) for student in students]
    scores = {name: np.stack([draw_scores[name] for draw_scores in drawn]) for name in drawn[0]}
    notes = {"removed": float(gone.sum()), "removed_positive": float((gone & positive).sum()), "draws": float(DRAWS)}
    # A filter that says itself how many rows go is not asked for a share, and neither is its control.
    share = experiment.probes.contamination if "contamination" in METHODS[of].settings else None
    return Outcome(scores, contamination=share, notes=notes)


def permuted_graph(experiment: Experiment) -> Lessons:
    """Teach students labels smoothed over the graph of the rows in another order: the control of `relabel-graph`.

    `DRAWS` times rows change places on the graph, which so has the shape that it had and joins rows that have nothing
    in common; labels of a row's group and duplicates stay hidden from it.
    """
    neighbors, alpha = experiment.graph("graph").first(experiment.probes.graph_k), experiment.probes.alpha
    ids, lessons = group_ids(experiment.X_train, experiment.groups), []
    for draw in range(DRAWS):
        order = stream(experiment.seed, "permuted graph", draw).permutation(len(neighbors))
        moved = np.empty_like(neighbors)
        moved[order] = order[neighbors]
        lessons.append(experiment.lesson(out_of_fold(moved, experiment.weak_train, ids, alpha)))
    students = yield lessons
    drawn = [experiment.evaluated(student.scores) for student in students]
    scores = {name: np.stack([draw_scores[name] for draw_scores in drawn]) for name in drawn[0]}
    return Outcome(scores, notes={"draws": float(DRAWS)}, **experiment.probe_settings("graph"))


def confidence_removal(experiment: Experiment) -> FilterDecision:
    """Remove the rows whose weak labels are nearest to one half."""
    return _farthest(experiment, -np.abs(experiment.weak_train - 0.5), "least confident")


def oracle_removal(experiment: Experiment) -> FilterDecision:
    """Remove the rows whose weak labels are farthest from the truth.

    A reference that knows every label, not a bound on what a filter can do: which rows teach a student best is
    another question than which labels are wrong.
    """
    badness = np.abs(experiment.weak_train - experiment.true_train())
    return _farthest(experiment, badness, "farthest from the truth")


def confidence_filter(experiment: Experiment) -> Lessons:
    """Teach a student the rows that `confidence_removal` leaves."""
    return _without(experiment, confidence_removal(experiment))


def oracle_filter(experiment: Experiment) -> Lessons:
    """Teach a student the rows that `oracle_removal` leaves."""
    return _without(experiment, oracle_removal(experiment))


def _farthest(experiment: Experiment, badness: NDArray[np.float64], reason: str) -> FilterDecision:
    """Remove the worst rows, the share that the recipe's contamination says; ties by row order."""
    count = share_of(len(badness), experiment.probes.contamination)
    mask = np.ones(len(badness), dtype=bool)
    mask[np.argsort(levels(-badness), kind="stable")[:count]] = False
    reasons = np.where(mask, KEPT, reason).astype(object)
    # No probe was asked, so there is no distance to a probe's score.
    result = FilterResult(mask, np.full(len(mask), np.nan), reasons, experiment.weak_train, count)
    return FilterDecision(result, experiment.weak_train)


def _without(experiment: Experiment, removal: FilterDecision) -> Lessons:
    result = removal.result
    student = yield experiment.lesson(removal.labels, result.mask)
    return experiment.outcome(
        student,
        contamination=experiment.probes.contamination,
        notes=result.report(),
        filtered=result,
    )
