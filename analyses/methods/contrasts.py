"""The ceiling and the controls of the contrast-consistent probe, all on the same contrast pairs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from w2s_probes.probes import ContrastProbe, Probe
from w2s_probes.probes.contrast import swapped_sides
from w2s_probes.relabeling import relabel

from ..experiment import Experiment, Method, Outcome
from ..lessons.lesson import Scores
from ..results.names import own_ceiling
from .controls import DRAWS

NAME = "contrast"


def pairs_ceiling(experiment: Experiment) -> Outcome:
    """The scores of a logistic probe of the pairs that learned the truth: what labels could make of them."""
    return _logistic(experiment, experiment.true_train())


def logistic_of_pairs(experiment: Experiment) -> Outcome:
    """The scores of a logistic probe of the pairs that learned the weak labels: the control that reads labels."""
    return _logistic(experiment, experiment.weak_train)


def swapped_pairs(experiment: Experiment) -> Outcome:
    """The scores of the contrast probe where each row's sides have changed places by a coin: none has a sense.

    `DRAWS` times, in training and in the rows scored. A draw has scores of its own.
    """
    drawn: list[Scores] = []
    for draw in range(DRAWS):
        seed = experiment.seed * DRAWS + draw
        X = {name: swapped_sides(experiment.paired(name), seed=seed) for name in ("train", *experiment.read_by_probes)}
        drawn.append(_scores(experiment, ContrastProbe(), X.pop("train"), X, experiment.weak_train))
    stacked = {name: np.stack([scores[name] for scores in drawn]) for name in drawn[0]}
    return Outcome(stacked, notes={"draws": float(DRAWS)}, **experiment.probe_settings(NAME))


def _logistic(experiment: Experiment, labels: NDArray[np.float64]) -> Outcome:
    X = {name: experiment.paired(name) for name in experiment.read_by_probes}
    scores = _scores(experiment, experiment.probe("logistic"), experiment.paired("train"), X, labels)
    return Outcome(scores, **experiment.probe_settings("logistic"))


def _scores(
    experiment: Experiment,
    probe: Probe,
    X_train: NDArray[np.float32],
    X: dict[str, NDArray[np.float32]],
    labels: NDArray[np.float64],
) -> Scores:
    """The scores of sets of pairs by a probe that learned labels (n_train,), calibrated where the recipe says so."""

    def out_of_sample() -> NDArray[np.float64]:
        return relabel(probe, X_train, labels, groups=experiment.groups, seed=experiment.seed)

    fitted = probe.fit(X_train, labels)
    scores = {name: fitted.predict_proba(rows)[:, 1] for name, rows in X.items()}
    return experiment.calibrated_probe(scores, out_of_sample)


CEILING = own_ceiling(NAME)
LOGISTIC = frozenset({"logistic_l2"})
CONTRAST_METHODS = {
    CEILING: Method(pairs_ceiling, oracle=True, students=0, settings=LOGISTIC, pairs=True),
    "control-swapped-sides": Method(swapped_pairs, students=0, settings=frozenset({NAME}), pairs=True, ceiling=CEILING),
    "control-logistic-pairs": Method(logistic_of_pairs, students=0, settings=LOGISTIC, pairs=True, ceiling=CEILING),
}


def of_pairs(methods: Mapping[str, Method]) -> dict[str, Method]:
    """The methods, those of the contrast probe declared to read pairs."""
    return {
        name: replace(method, pairs=True) if name.endswith(f"-{NAME}") else method for name, method in methods.items()
    }
