"""Probes as students: fitted to weak labels, scored on the evaluation sets; and their ceilings."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..experiment import Experiment, Outcome
from ..experiment.layer_probes import LAYERS


def probe_prediction(experiment: Experiment, *, probe: str) -> Outcome:
    """The scores of a probe that learned the weak labels."""
    outcome = _fitted(experiment, probe, experiment.weak_train)
    return replace(outcome, notes=experiment.layer_notes()) if probe == LAYERS else outcome


def probe_ceiling(experiment: Experiment, *, probe: str) -> Outcome:
    """The scores of a probe that learned the truth: what the ceiling is for students."""
    return _fitted(experiment, probe, experiment.true_train())


def _fitted(experiment: Experiment, probe: str, labels: NDArray[np.float64]) -> Outcome:
    scores = experiment.probe_scores(probe, labels)
    return Outcome(scores, **experiment.probe_settings(probe))
