"""The methods by name. A method yields lessons and returns an `Outcome`; adding one is one entry here."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.losses.names import LossName
from w2s_probes.probes.registry import PROBES

from ..experiment import Method
from ..experiment.declared_probes import EVERY_SETTING
from ..results.names import PROBE, RANDOM, own_ceiling
from .by_name import METHODS
from .controls import DRAWS, confidence_filter, confidence_removal, oracle_filter, oracle_removal, random_control
from .filters import probe_filter, probe_removal
from .probes import probe_ceiling, probe_prediction
from .relabels import probe_relabel
from .rounds import bootstrapping, strong_to_strong
from .students import plain_student

__all__ = ["METHODS", "find_method", "find_methods"]

NO_SETTING: frozenset[str] = frozenset()
SHARE = frozenset({"contamination"})
READS = {name: frozenset({entry.setting, *entry.options}) & EVERY_SETTING for name, entry in PROBES.items()}


def _filter(probe: str, *, relabels: bool = False) -> Method:
    decide = partial(probe_removal, probe=probe, relabels=relabels)
    run = partial(probe_filter, probe=probe, relabels=relabels)
    return Method(run, removal=decide, settings=READS[probe] | SHARE)


METHODS |= {
    **{
        f"student-{loss}": Method(partial(plain_student, loss=loss), activations=False, settings=NO_SETTING)
        for loss in get_args(LossName)
    },
    "s2s-1": Method(partial(strong_to_strong, rounds=1), activations=False, students=2, rounds=2, settings=NO_SETTING),
    "s2s-2": Method(partial(strong_to_strong, rounds=2), activations=False, students=3, rounds=3, settings=NO_SETTING),
    "bootstrap": Method(bootstrapping, activations=False, students=2, settings=NO_SETTING),
    **{
        own_ceiling(name): Method(partial(probe_ceiling, probe=name), oracle=True, students=0, settings=READS[name])
        for name in PROBES
    },
    **{
        f"{PROBE}{name}": Method(
            partial(probe_prediction, probe=name), students=0, settings=READS[name], ceiling=own_ceiling(name)
        )
        for name in PROBES
    },
    **{f"filter-{name}": _filter(name) for name in PROBES},
    **{f"relabel-{name}": Method(partial(probe_relabel, probe=name), settings=READS[name]) for name in PROBES},
    **{f"filter-relabel-{name}": _filter(name, relabels=True) for name in PROBES},
    "control-confidence-filter": Method(
        confidence_filter, activations=False, removal=confidence_removal, settings=SHARE
    ),
    "control-oracle-filter": Method(
        oracle_filter, oracle=True, activations=False, removal=oracle_removal, settings=SHARE
    ),
}


def find_methods(names: Sequence[str]) -> dict[str, Method]:
    """The methods of these names, in order; before each probe its ceiling.

    `control-random:NAME` is the control of any filter NAME. InputError for a method that does not exist.
    """
    methods: dict[str, Method] = {}
    for name in names:
        method = find_method(name)
        if method.ceiling in METHODS:
            methods.setdefault(method.ceiling, METHODS[method.ceiling])
        methods[name] = method
    return methods


def find_method(name: str) -> Method:
    """The method of this name; InputError for one that does not exist."""
    if name in METHODS:
        return METHODS[name]
    filters = [other for other, method in METHODS.items() if method.removal is not None]
    of = name.removeprefix(RANDOM)
    if of in filters:
        filter_ = METHODS[of]
        control = partial(random_control, of=of)
        return replace(filter_, run=control, students=DRAWS, rounds=1, settings=filter_.settings | SHARE)
    if name == "control-random-filter":  # of earlier recipes
        raise InputError(
            f"method {name!r}: a filter's control is matched to that filter: name it {RANDOM}FILTER, as in "
            f"{RANDOM}filter-topo"
        )
    if name.startswith(RANDOM):
        raise InputError(f"method {name!r}: {of!r} is no filter: {did_you_mean(of, filters)}")
    raise InputError(f"method {name!r}: {did_you_mean(name, [*METHODS, *(RANDOM + other for other in filters)])}")
