"""Two stages: a student of the rows that a filter keeps labels those that it removes, and a second learns both.

The removed rows are used as unlabelled ones, as DivideMix uses them (Li et al. 2020), here with one student, once.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from w2s_probes.filtering.matched_controls import matched_removal
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import group_ids, group_numbers
from w2s_probes.ties import above_half

from ..experiment import Experiment, Lesson, Lessons, Method, Outcome
from ..results.names import RANDOM_STAGES as RANDOM_STAGES
from ..results.names import TWO_STAGE as TWO_STAGE
from .controls import DRAWS
from .filters import probe_removal


def in_two_stages(probe: str, reads: frozenset[str], *, random: bool = False) -> Method:
    """The method of a probe that reads these settings, or its control."""
    run = partial(random_two_stages, of=f"{TWO_STAGE}{probe}") if random else two_stages
    many = 2 * DRAWS if random else 2
    return Method(partial(run, probe=probe), students=many, rounds=2, settings=reads | {"contamination"})


def two_stages(experiment: Experiment, *, probe: str) -> Lessons:
    """Teach a student the rows that the probe's filter keeps, and a second one these and its scores of the others."""
    gone = ~probe_removal(experiment, probe=probe).result.mask
    first = yield first_stage(experiment, gone)
    student = yield second_stage(experiment, gone, first["train"])
    changed = above_half(first["train"][gone]) != above_half(experiment.weak_train[gone])
    return experiment.outcome(
        student,
        contamination=experiment.probes.contamination,
        notes={"removed": float(gone.sum()), "changed": float(changed.sum())},
        **experiment.probe_settings(probe),
    )


def random_two_stages(experiment: Experiment, *, of: str, probe: str) -> Lessons:
    """The same, `DRAWS` times, with as many random rows of each weak class from as many groups (`matched_removal`)."""
    gone, positive = ~probe_removal(experiment, probe=probe).result.mask, experiment.weak_train > 0.5
    groups = group_numbers(experiment.groups, len(gone))
    drawn = [
        matched_removal(gone, positive, groups, stream(experiment.seed, "random control", of, draw))
        for draw in range(DRAWS)
    ]
    firsts = yield [first_stage(experiment, one) for one in drawn]
    students = yield [second_stage(experiment, one, first["train"]) for one, first in zip(drawn, firsts, strict=True)]
    found = [experiment.evaluated(student.scores) for student in students]
    scores = {name: np.stack([one[name] for one in found]) for name in found[0]}
    notes = {"removed": float(gone.sum()), "draws": float(DRAWS)}
    return Outcome(scores, contamination=experiment.probes.contamination, notes=notes)


def first_stage(experiment: Experiment, gone: NDArray[np.bool_]) -> Lesson:
    """A student of the rows that stay; the kin of those that go sit out, so that no score of these has seen a label."""
    ids = group_ids(experiment.X_train, experiment.groups)
    return experiment.lesson(experiment.weak_train, ~np.isin(ids, ids[gone]))


def second_stage(experiment: Experiment, gone: NDArray[np.bool_], scores: NDArray[np.float64]) -> Lesson:
    """A student of all rows: weak labels of those that stay, the first student's scores (n_train,) of those that go."""
    return experiment.lesson(np.where(gone, scores, experiment.weak_train))
