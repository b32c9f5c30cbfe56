"""The methods by name. A method is a function from an `Experiment` to an `Outcome`; adding one is one entry here."""

from functools import partial

from w2s_probes.errors import InputError, did_you_mean

from ..experiment import Method
from .controls import random_filter
from .filters import probe_filter
from .probes import probe_prediction
from .relabels import probe_relabel
from .students import plain_student

METHODS: dict[str, Method] = {
    "student-xent": partial(plain_student, loss="xent"),
    "student-logconf": partial(plain_student, loss="logconf"),
    "probe-knn": partial(probe_prediction, probe="knn"),
    "probe-logistic": partial(probe_prediction, probe="logistic"),
    "probe-topo": partial(probe_prediction, probe="topo"),
    "filter-knn": partial(probe_filter, probe="knn"),
    "filter-logistic": partial(probe_filter, probe="logistic"),
    "filter-topo": partial(probe_filter, probe="topo"),
    "relabel-knn": partial(probe_relabel, probe="knn"),
    "relabel-logistic": partial(probe_relabel, probe="logistic"),
    "relabel-topo": partial(probe_relabel, probe="topo"),
    "control-random-filter": random_filter,
}


def find_methods(names: list[str]) -> dict[str, Method]:
    """The methods of these names, in this order; InputError for one that does not exist."""
    for name in names:
        if name not in METHODS:
            raise InputError(f"method {name!r}: {did_you_mean(name, METHODS)}")
    return {name: METHODS[name] for name in names}
