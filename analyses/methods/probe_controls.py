"""Controls of probes: what chance gives one, what the best layer alone, and what as many fits at that layer."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from w2s_probes.labels.shuffled import shuffled_labels
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import group_numbers

from ..experiment import Experiment, Method, Outcome
from ..experiment.layer_probes import together
from ..results.names import ceiling_of
from .controls import DRAWS


def permuted_labels(experiment: Experiment, *, probe: str) -> Outcome:
    """The scores of a probe that learned the weak labels of other rows, dealt out anew `DRAWS` times: chance.

    Labels of a group stay together, as `shuffled_labels` deals them.
    """
    groups = group_numbers(experiment.groups, len(experiment.weak_train))
    drawn = []
    for draw in range(DRAWS):
        labels = shuffled_labels(experiment.weak_train, groups, stream(experiment.seed, "permuted labels", draw))
        drawn.append(experiment.probe_scores(probe, labels))
    scores = {name: np.stack([draw_scores[name] for draw_scores in drawn]) for name in drawn[0]}
    return Outcome(scores, notes={"draws": float(DRAWS)}, **experiment.probe_settings(probe))


def best_layer(experiment: Experiment) -> Outcome:
    """The probe of `[probes.layers]` at the one layer that a sweep would choose: what an ensemble must beat."""
    layer, view = _chosen(experiment)
    of = experiment.probes.layers.of
    return Outcome(view.probe_scores(of, experiment.weak_train), **experiment.probe_settings(of), layer=layer)


def bagged_layer(experiment: Experiment) -> Outcome:
    """As many fits as there are layers, all at that one layer, on resamples of the groups; together as the ensemble's.

    What remains of the ensemble's gain beside it comes of the layers, not of averaging.
    """
    layer, view = _chosen(experiment)
    labels, groups = experiment.weak_train, group_numbers(experiment.groups, len(experiment.weak_train))
    of, members = experiment.probes.layers.of, []
    for number in range(len(experiment.layer_activations)):
        rows = _resample(labels, groups, stream(experiment.seed, "bagged layer", number))
        fitted = view.probe(of).fit(view.X_train[rows], labels[rows])
        sets = view.read_by_probes.items()
        members.append({name: fitted.predict_proba(view.activations.of(table))[:, 1] for name, table in sets})
    # By gold rows a bag is calibrated as the probe itself: which of its members have not learned a row differs by row.
    scores = experiment.calibrated_probe(together(members), partial(view.out_of_sample_scores, of))
    return Outcome(scores, **experiment.probe_settings(of), layer=layer, notes={"members": float(len(members))})


def _chosen(experiment: Experiment) -> tuple[int, Experiment]:
    """The layer whose out-of-sample scores are nearest to the weak labels (`weak_brier`); of equals the lowest."""
    of, views = experiment.probes.layers.of, experiment.at_layers()
    off = {n: ((view.out_of_sample_scores(of) - view.weak_train) ** 2).mean() for n, view in sorted(views.items())}
    layer = min(off, key=lambda number: float(off[number]))
    return layer, views[layer]


def _resample(
    labels: NDArray[np.float64], groups: NDArray[np.intp] | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Places of rows whose groups are drawn with replacement, as many as there are; of both classes."""
    ids = np.arange(len(labels)) if groups is None else groups
    rows_of = np.split(np.argsort(ids, kind="stable"), np.cumsum(np.bincount(ids))[:-1])
    while True:
        rows = np.concatenate([rows_of[group] for group in rng.integers(len(rows_of), size=len(rows_of))])
        if 0 < (labels[rows] > 0.5).sum() < len(rows):
            return rows


PROBE_CONTROLS = {
    "control-permuted-mlp": Method(
        partial(permuted_labels, probe="mlp"),
        students=0,
        settings=frozenset({"mlp_l2", "mlp_hidden", "mlp_epochs"}),
        ceiling=ceiling_of("control-permuted-mlp"),
    ),
    "control-best-layer": Method(best_layer, students=0, layers=True, ceiling=ceiling_of("control-best-layer")),
    "control-bagged-layer": Method(bagged_layer, students=0, layers=True, ceiling=ceiling_of("control-bagged-layer")),
}
