"""Options of a steering that are wrong for any model, and a model that did not make the store; without torch."""

import math
from collections.abc import Sequence

from w2s_probes.errors import InputError
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.layers import refuse_no_layers

from .steer_files import LAYER_READ, WORDS_READ, By

STRENGTHS = (1.0, 2.0, 4.0)  # unless others are given


def parse_read(named: str) -> str | None:
    """The later layer that `layer:M` names, None for `words`; InputError for anything else.

    >>> parse_read("layer:3"), parse_read("words")
    ('3', None)
    """
    if named == WORDS_READ:
        return None
    kind, _, layer = named.partition(":")
    if kind != LAYER_READ or not layer:
        raise InputError(f"--read {named[:40]!r}: give words, or a later layer of the store such as layer:-1")
    refuse_no_layers(layer)
    return layer


def checked_strengths(strengths: Sequence[float] | None, by: By) -> tuple[float, ...]:
    """The strengths, each once, ascending; of an ablation, which has none, a single 1."""
    if by == "ablate":
        if strengths is not None:
            raise InputError("--strength is for --by add: an ablation takes all of the direction out; leave it out")
        return (1.0,)
    values = STRENGTHS if strengths is None else tuple(float(value) for value in strengths)
    if not values:
        raise InputError("--strength: holds no number; give some, such as 1,2,4")
    for value in values:
        if not math.isfinite(value):
            raise InputError(f"--strength {value}: a finite number is needed")
    return tuple(sorted(set(values)))


def refuse_other_weights(store: ActivationStore, weights: str, model: str) -> None:
    """InputError unless this is the model that made the store."""
    made = store.manifest.identity.get("weights")
    if made != weights:
        by = store.manifest.notes.get("model") if made else None
        whose = f"by other weights ({by})" if by else "by no model that it knows"
        raise InputError(f"model {model}: {store.path} was made {whose}: its directions mean nothing on another model")
    if store.manifest.ragged:
        raise InputError(f"{store.path}: holds every token; extract with --position last, first or mean to steer by it")
