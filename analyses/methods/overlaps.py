"""Filters of overlap density: students taught the rows that are no hard ones, or the overlap rows alone."""

from collections.abc import Sequence
from functools import partial

from w2s_probes.filtering import OverlapDensity, overlap_density, overlap_filter
from w2s_probes.filtering.judges import KEPT_KINDS, OVERLAP, OVERLAP_ROW

from ..experiment import Experiment, FilterDecision, Lessons, Method


def overlap_of(experiment: Experiment) -> OverlapDensity:
    """The overlap density of the training rows, by the recipe's `[probes.overlap]`."""
    settings = experiment.probes.overlap
    return overlap_density(
        experiment.X_train,
        experiment.weak_train,
        similarity=settings.similarity,
        least_gain=settings.least_gain,
        groups=experiment.groups,
    )


def overlap_removal(experiment: Experiment, *, keep: Sequence[str]) -> FilterDecision:
    """Drop the rows of other kinds than these; none without change points."""
    return FilterDecision(overlap_filter(overlap_of(experiment), keep), experiment.weak_train)


def overlap_student(experiment: Experiment, *, keep: Sequence[str]) -> Lessons:
    """Teach a student the rows that `overlap_removal` leaves."""
    found = overlap_of(experiment)
    result = overlap_filter(found, keep)
    student = yield experiment.lesson(experiment.weak_train, result.mask)
    return experiment.outcome(student, probe=OVERLAP, notes=result.report() | found.notes, filtered=result)


OVERLAPS = {
    name: Method(
        partial(overlap_student, keep=keep),
        removal=partial(overlap_removal, keep=keep),
        settings=frozenset({"overlap"}),
    )
    for name, keep in (("filter-overlap", KEPT_KINDS), ("filter-overlap-only", (OVERLAP_ROW,)))
}
