"""Probes as students: fitted to the weak labels, evaluated on the test rows."""

from ..experiment import Experiment, Outcome


def probe_prediction(experiment: Experiment, *, probe: str) -> Outcome:
    """The probe's own predictions of the test rows."""
    fitted = experiment.probe(probe).fit(experiment.X_train, experiment.weak_train)
    return experiment.probe_outcome(probe, fitted.predict_proba(experiment.X_test)[:, 1])
