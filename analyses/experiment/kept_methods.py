"""Outcomes of methods in the cache: under which key they are kept, and made where it lacks them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.code_hashes import code_hash
from w2s_probes.devices import device_key
from w2s_probes.labels.label_set import LabelSet

from ..lessons.clock import Clock
from ..lessons.engine import Steps
from ..lessons.result_cache import ResultCache, array_hash
from ..recipe.conflict import Conflict
from .declared_probes import every_setting, probe_code
from .gold_rows import VALUES, GoldRows, GoldUse
from .method import Method
from .outcomes import Outcome, kept_outcome, outcome_of
from .row_sets import RowSets
from .trusted_rows import TrustedRows
from .view import Experiment

METHOD = "methods"  # kind of their results in the cache


def method_description(
    name: str,
    method: Method,
    experiment: Experiment,
    sets: RowSets,
    trusted: TrustedRows | None = None,
    gold: GoldRows | None = None,
) -> dict[str, Any]:
    """All that decides a method's outcome."""
    read = trusted.of(method.trusted) if trusted is not None and method.trusted is not None else None
    settings = every_setting(method.settings)
    weak = experiment.weak_activations
    return {
        "method": name,
        "code": [
            code_hash(method.run),
            *([code_hash(method.removal)] if method.removal else []),
            *([method.code] if method.code else []),
        ],
        "rows": experiment.row_hashes,
        "labels": array_hash(experiment.weak.p),
        "supervisor": {rows: array_hash(scores) for rows, scores in experiment.weak_scores.items()},
        "truth": array_hash(truth_of(sets).p) if method.oracle else None,
        "activations": experiment.activations.identity,
        "student": experiment.student.description,
        "intermediate": [learner.description for learner in experiment.intermediate],
        "loss": experiment.loss,
        "losses": experiment.code_of_losses(method.losses),
        "probes": experiment.probes.read(settings),
        "seed": experiment.seed,
        **device_key(experiment.device),
        **({} if experiment.conflict == Conflict() else {"conflict": experiment.conflict.model_dump(mode="json")}),
        **({} if not method.asks else {"asked": _asked(method, experiment)}),
        **({} if not method.debates else {"debate": experiment.debates and experiment.debates.description}),
        **(
            {}
            if not method.tuned
            else {"tuned": [one and one.description for one in (experiment.base, experiment.tuned)]}
        ),
        **({} if not method.pairs else {"pairs": experiment.pairs and experiment.pairs.identity}),
        **({} if not method.layers else {"layers": [read.identity for read in experiment.layer_activations]}),
        **({} if not method.fuses else {"fused": experiment.fusing and experiment.fusing.description}),
        **({} if experiment.disagreement is None else {"disagreement": array_hash(experiment.disagreement)}),
        **({} if gold is None or method.gold is None else {"gold": _gold(method.gold, gold, experiment, settings)}),
        **probe_code(settings),
        **experiment.pooling_key,
        **experiment.calibration_key,
        **({} if read is None else {"trusted": read.description, "weak_model": weak and weak.identity}),
    }


def _gold(use: GoldUse, rows: GoldRows, experiment: Experiment, settings: frozenset[str]) -> dict[str, Any]:
    """The gold rows that a method reads, the values and the models at the layers among which they choose."""
    learners = experiment.by_layer.values() if use.layers else ()
    described = rows.of(use).description
    if VALUES in described:  # of the probes alone that it reads
        described[VALUES] = {name: values for name, values in described[VALUES].items() if name in settings}
    return described | {"learners": [learner.description for learner in learners]}


def _asked(method: Method, experiment: Experiment) -> dict[str, Any] | None:
    """How the strong model is asked; with the number of shots where it is shown rows of weak-train."""
    opinions = experiment.opinions
    if opinions is None:
        return None
    return opinions.description | ({} if method.trusted is None else {"n_shots": opinions.asked.n_shots})


def kept_method(
    describe: Callable[[], dict[str, Any]], run: Callable[[], Steps[Outcome]], cache: ResultCache, clock: Clock
) -> Steps[Outcome]:
    """A method's outcome from the cache; makes and stores it where the cache lacks it."""
    description = describe()
    if (kept := cache.read(METHOD, description)) is not None:
        return outcome_of(*kept)
    clock.makes(METHOD)
    outcome = yield from run()
    cache.write(METHOD, description, *kept_outcome(outcome))
    return outcome


def truth_of(sets: RowSets) -> LabelSet:
    """The true labels of the training and validation rows, and of a conflict's."""
    both = pd.concat([sets.train, sets.val, *([] if sets.conflict is None else [sets.conflict])])
    return LabelSet(both["id"].to_numpy(dtype=object), both["label"].to_numpy(dtype=np.float64), "truth")
