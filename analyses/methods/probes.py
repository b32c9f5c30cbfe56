"""Probes as students: fitted to the weak labels, evaluated on the rows to be judged; and their ceilings."""

import numpy as np
from numpy.typing import NDArray

from ..experiment.view import SCORED, Experiment, Outcome


def probe_prediction(experiment: Experiment, *, probe: str) -> Outcome:
    """The probe's own predictions."""
    return _fitted(experiment, probe, experiment.weak_train)


def probe_ceiling(experiment: Experiment, *, probe: str) -> Outcome:
    """The predictions of the probe taught the truth: what it could reach, as the ceiling is for students."""
    return _fitted(experiment, probe, experiment.true_train())


def _fitted(experiment: Experiment, probe: str, labels: NDArray[np.float64]) -> Outcome:
    fitted = experiment.probe(probe).fit(experiment.X_train, labels)
    judged = {name: experiment.activations.of(experiment.rows[name]) for name in SCORED if name in experiment.rows}
    scores = {name: fitted.predict_proba(X)[:, 1] for name, X in judged.items()}
    return Outcome(scores, **experiment.probe_settings(probe))
