"""What gold rows choose: the value of a probe, a layer, or the checkpoint of a student; all else reads weak labels.

They are the validation set with true labels that published studies choose by. Candidates score gold rows out of sample.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.probes.registry import PROBES
from w2s_probes.rows.groups import most_neighbors
from w2s_probes.selection.gold_choice import GoldChoice, choose_by_gold

from ..experiment import Experiment, Lessons, Outcome
from ..experiment.gold_rows import VALUES, GoldRows
from .gold import gold_labels, outcome_of_gold, row_notes, weak_read

# Candidates where `[gold] values` names none, beside the recipe's own value.
GRIDS: dict[str, tuple[float, ...]] = {"k": (5, 10, 20, 50, 100), "l2": (1e-4, 1e-3, 1e-2, 1e-1, 1.0)}


def chosen_value(experiment: Experiment, *, probe: str, of_weak: bool = False) -> Outcome:
    """A probe of all weak labels, whose k or λ gold rows choose by its out-of-sample scores of them.

    Candidates are the recipe's own value, and the given ones, or those of a grid, as far as there are neighbours.
    """
    rows, entry = experiment.gold_rows(), PROBES[probe]
    if entry.value is None:
        raise InputError(f"gold-select-{probe}: this probe has no value that gold rows could choose: name another")
    labels = gold_labels(experiment, rows, of_weak=of_weak)
    own = getattr(experiment.probes, entry.setting)
    most = most_neighbors(experiment.group_codes, len(experiment.weak_train))
    grid = rows.setting(VALUES).get(entry.setting) or GRIDS[entry.value]
    values = [own, *(value for value in grid if value != own)]
    if entry.value == "k":
        values = [int(value) for value in values if 1 <= value <= most]
    views = {float(value): _with_value(experiment, entry.setting, value) for value in values}
    scores = {value: view.out_of_sample_scores(probe)[rows.mask] for value, view in views.items()}
    choice = _choice(experiment, rows, labels, scores)
    view = views[choice.chosen]
    notes = row_notes(rows, len(experiment.weak_train), of_weak=of_weak) | choice_notes(choice)
    return Outcome(view.probe_scores(probe, experiment.weak_train), **view.probe_settings(probe), notes=notes)


def chosen_layer(experiment: Experiment, *, of_weak: bool = False) -> Lessons:
    """A student of the weak labels at the layer that gold rows choose; none has learned gold rows or related ones."""
    rows, learners = experiment.gold_rows(), experiment.by_layer
    if not learners:
        raise InputError("there are no layers to choose among: name them in [gold] layers")
    labels, taught = gold_labels(experiment, rows, of_weak=of_weak), ~rows.related
    students = yield [
        experiment.lesson(experiment.weak_train, taught, learner=learner) for learner in learners.values()
    ]
    by_layer = dict(zip(map(float, learners), students, strict=True))
    scores = {layer: student["train"][rows.mask] for layer, student in by_layer.items()}
    choice = _choice(experiment, rows, labels, scores)
    about = {"layer": int(choice.chosen), "notes": choice_notes(choice)}
    student = by_layer[choice.chosen]
    return outcome_of_gold(experiment, rows, student, weak=weak_read(rows, taught, of_weak), of_weak=of_weak, **about)


def chosen_checkpoint(experiment: Experiment, *, of_weak: bool = False) -> Lessons:
    """A student of the weak labels, stopped by gold rows or by validation rows: the one that gold rows rank better by.

    Neither has learned gold rows or related ones. The candidates are the epochs, or the updates, that gold rows and
    weak labels stop at; gold rows alone could stop too early, where patience ends a training.
    """
    rows = experiment.gold_rows()
    taught, weak = ~rows.related, experiment.weak_train
    stop = rows.examples(weak[rows.mask] if of_weak else None)
    lessons = [experiment.lesson(weak, taught, stop=stop), experiment.lesson(weak, taught)]
    by_gold, by_weak = yield lessons
    found = {float(by_weak.epoch): by_weak}
    found = {float(by_gold.epoch): by_gold, **found} if by_gold.epoch != by_weak.epoch else found
    choice = _choice(experiment, rows, stop.p, {epoch: one["train"][rows.mask] for epoch, one in found.items()})
    student, notes = found[choice.chosen], choice_notes(choice)
    return outcome_of_gold(
        experiment, rows, student, weak=weak_read(rows, taught, of_weak), of_weak=of_weak, notes=notes
    )


def choice_notes(choice: GoldChoice) -> dict[str, float]:
    """A choice for run.json, without what is not known."""
    notes = {"chosen": choice.chosen, "second": choice.second, "candidates": float(len(choice.scores))}
    for name, estimate in (("gold_auroc", choice.auroc), ("lead", choice.lead)):
        notes |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {name: float(value) for name, value in (notes | {"stability": choice.stability}).items() if value == value}


def _choice(
    experiment: Experiment,
    rows: GoldRows,
    labels: NDArray[np.float64],
    scores: Mapping[float, NDArray[np.float64]],
) -> GoldChoice:
    groups = None if experiment.groups is None else experiment.groups[rows.mask]
    if len(np.unique(labels > 0.5)) < 2:  # weak ones, of a control: true ones are looked at before anything is trained
        raise InputError(f"the weak labels of the {len(labels)} gold rows are of one class, and choose nothing")
    return choose_by_gold(labels > 0.5, scores, groups=groups, seed=experiment.seed)


def _with_value(experiment: Experiment, setting: str, value: float) -> Experiment:
    """The experiment with another value of a probe; it searches neighbours of its own."""
    probes = experiment.probes.model_copy(update={setting: value})
    return replace(experiment, probes=probes, shared=None)
