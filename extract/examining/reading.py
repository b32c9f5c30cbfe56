"""The sampled rows of a store and those beside them, read through the model once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.store.token_activations import TokenActivations

from ..forward.engine import Engine
from .candidates import Candidates, all_states, candidates_of, kinds_of
from .elsewhere import stored_vectors
from .subject import Subject
from .token_search import TokenMatch, nearest_state

SHIFTS = (0, 1, -1)


@dataclass(frozen=True)
class Reading:
    """What the model gives for some rows of a store, and what the store holds of the sampled ones among them."""

    places: NDArray[np.intp]  # in the store, of the sampled rows (n,)
    names: list[str]  # their ids
    tokens: list[Tokens]  # and their tokens
    candidates: Candidates  # of them and of the rows beside them
    partners: dict[int, NDArray[np.intp]]  # by shift, where in `candidates` the sampled rows' partners are; -1: nowhere
    stored: Mapping[int, NDArray[np.float32]]  # by layer (n, width)
    matches: Mapping[int, list[TokenMatch]]  # by layer, the nearest state of each sampled row
    at: NDArray[np.int64] | None = None  # (n,) the token of each sampled row at the marked position
    token_faults: list[str] = field(default_factory=list)  # of a store of every token: other tokens than the model's
    token_differences: Mapping[int, list[float]] = field(default_factory=dict)  # and there the worst token of each row


def read(subject: Subject, engine: Engine, sample: int, layers: Sequence[int]) -> Reading:
    """Read the sampled rows of a store and their neighbours in it."""
    store, depth = subject.store, subject.source.depth
    places = subject.sample(sample)
    around = np.unique(np.clip(np.concatenate([places + shift for shift in SHIFTS]), 0, len(store) - 1))
    encoded, at = subject.encoded(around), {int(place): row for row, place in enumerate(around)}
    tokens, marks = encoded.rows, None if encoded.at is None else encoded.at[:, 0]
    ids, kinds = subject.names, kinds_of(depth, subject.marked)
    names = [ids[place] for place in places]
    engine.read(tokens[:1], names[:1])  # refuses a model whose blocks hand on something else
    stored = {layer: stored_vectors(store, layer, names) for layer in layers}
    ragged = {layer: store.tokens(layer, ids=names) for layer in layers} if store.manifest.ragged else {}
    sampled = {at[int(place)]: row for row, place in enumerate(places)}
    vectors = np.empty((len(around), len(kinds), store.manifest.width), dtype=np.float32)
    matches: dict[int, dict[int, TokenMatch]] = {layer: {} for layer in layers}
    differences: dict[int, dict[int, float]] = {layer: {} for layer in ragged}
    for row, states in all_states(engine, subject.source, tokens):
        vectors[row] = candidates_of(states, depth, None if marks is None else int(marks[row]))
        if (own := sampled.get(row)) is None:
            continue
        for layer in layers:
            matches[layer][own] = nearest_state(states, stored[layer][own])
        for layer, held in ragged.items():
            part = held.values[held.offsets[own] : held.offsets[own + 1]]
            if layer <= depth and len(part) == len(states[layer]):
                differences[layer][own] = float(np.linalg.norm(part - states[layer].numpy(), axis=1).max())
    chosen = [tokens[at[int(place)]] for place in places]
    partners = {
        shift: np.array([at.get(int(place) + shift, -1) for place in places], dtype=np.intp) for shift in SHIFTS
    }
    return Reading(
        places,
        names,
        chosen,
        Candidates(kinds, vectors),
        partners,
        stored,
        {layer: [found[row] for row in range(len(places))] for layer, found in matches.items()},
        None if marks is None else marks[[at[int(place)] for place in places]],
        _token_faults(next(iter(ragged.values())), chosen, names) if ragged else [],
        {layer: list(found.values()) for layer, found in differences.items()},
    )


def _token_faults(held: TokenActivations, tokens: Sequence[Tokens], names: Sequence[str]) -> list[str]:
    """How the stored tokens differ from the model's, of the first row where they do."""
    for row, (name, own) in enumerate(zip(names, tokens, strict=True)):
        ids = held.token_ids[held.offsets[row] : held.offsets[row + 1]]
        if len(ids) != len(own):
            return [f"row {name!r} has {len(ids)} tokens in the store, and the tokenizer gives {len(own)}"]
        if not np.array_equal(ids, own):
            at = int((ids != own).argmax())
            return [f"row {name!r}: token {at + 1} is {ids[at]} in the store, and the tokenizer gives {own[at]}"]
    return []
