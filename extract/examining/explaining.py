"""Why a stored layer is like nothing that the model gives for its rows: tried one way after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..forward.engine import Engine
from .candidates import POSITIONS, Candidate, Candidates, all_states, candidates_of, kinds_of
from .distances import nearest, shares
from .elsewhere import few_rows, places_of
from .layer_finding import told_apart
from .other_sites import other_sites
from .other_tokens import other_tokens
from .padding import PaddedRow, padding_faults
from .reading import Reading
from .subject import Subject
from .token_search import nearest_state, token_in_words


@dataclass(frozen=True)
class Unexplained:
    """A layer that no candidate comes near: what it should hold, its measure, and what may explain it."""

    layer: int
    expected: Candidate
    scale: float  # the median distance between rows
    allowed: float  # share of it within which something must come that is to explain the layer


def explanations(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    """Faults by layer, in words; layers that nothing explains are missing."""
    faults: dict[int, tuple[str, ...]] = {}
    for layer in layers:
        found = (
            _token_of_the_row(subject, reading, layer)
            or _order(subject, reading, layer, every_layer=layer is layers[0])
            or _some_token(reading, layer)
        )
        if found:
            faults[layer.layer] = found
    if left := [layer for layer in layers if layer.layer not in faults]:
        faults |= _sites(subject, engine, reading, left)
    if left := [layer for layer in left if layer.layer not in faults]:
        faults |= _tokens(subject, engine, reading, left)
    if left := [layer for layer in left if layer.layer not in faults]:
        faults |= _pads(subject, engine, reading, left)
    return faults


def _token_of_the_row(subject: Subject, reading: Reading, layer: Unexplained) -> tuple[str, ...]:
    matches = reading.matches[layer.layer]
    near = [row for row, match in enumerate(matches) if match.distance / layer.scale <= layer.allowed]
    if 2 * len(near) <= len(matches):
        return ()
    found = [matches[row] for row in near]
    depth, layers = subject.source.depth, [match.layer for match in found]
    most = max(set(layers), key=layers.count)
    there = [row for row in near if matches[row].layer == most]
    words = token_in_words([matches[row] for row in there], None if reading.at is None else reading.at[there].tolist())
    if words is None or words in ("token 1 from the end", "token 1 of each row"):  # which candidates are, and no nearer
        return ()
    holds = Candidate(min(most, depth), layer.expected.position, most > depth)
    return (*told_apart(layer.layer, layer.expected, holds, 0), f"{words}, not {layer.expected.position}")


def _some_token(reading: Reading, layer: Unexplained) -> tuple[str, ...]:
    """Whether every row's vector is of a token of its own, at whatever place."""
    matches = reading.matches[layer.layer]
    if any(match.distance / layer.scale > layer.allowed for match in matches):
        return ()
    place = f"token {min(matches[0].tokens) + 1} of {matches[0].length} in row {reading.names[0]!r}"
    return (f"other tokens of the rows, not {layer.expected.position}: {place}",)


def _order(subject: Subject, reading: Reading, layer: Unexplained, *, every_layer: bool) -> tuple[str, ...]:
    """Whether the rows' vectors stand at other rows of the store."""
    few = few_rows(len(reading.names))
    own = reading.partners[0][few]
    kinds = [layer.expected] if layer.expected in reading.candidates.kinds else []
    if every_layer:
        positions = POSITIONS if subject.position is None else (layer.expected.position,)
        kinds += [kind for kind in reading.candidates.kinds if kind.position in positions]
    if not kinds:
        return ()
    wanted = np.stack([reading.candidates.of(kind)[own] for kind in kinds])
    known = np.atleast_1d(np.isfinite(wanted).all(axis=(1, 2)))
    kinds, wanted = [kind for kind, has in zip(kinds, known, strict=True) if has], wanted[known]
    places, distances = places_of(subject.store, layer.layer, wanted.reshape(-1, wanted.shape[-1]))
    places, distances = places.reshape(wanted.shape[:2]), distances.reshape(wanted.shape[:2]) / layer.scale
    best = int(np.median(distances, axis=1).argmin())
    moved = (distances[best] <= layer.allowed) & (places[best] != reading.places[few])
    if 2 * moved.sum() < len(few):
        return ()
    row = int(moved.argmax())
    names = reading.names[few[row]], subject.names[int(places[best, row])]
    order = f"rows in another order: the vector of row {names[0]!r} stands at row {names[1]!r}"
    return (*told_apart(layer.layer, layer.expected, kinds[best], 0), order)


def _sites(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    """Whether another site was stored: the stream, or what attention or MLP add to it."""
    few, faults = few_rows(len(reading.names)), dict[int, tuple[str, ...]]()
    tokens = [reading.tokens[row] for row in few]
    marks = [None] * len(few) if reading.at is None else reading.at[few].tolist()
    for site, reader in other_sites(subject, engine, tokens[0]):
        read = dict(all_states(engine, subject.source, tokens, reader))
        vectors = np.stack([candidates_of(read[row], subject.source.depth, at) for row, at in enumerate(marks)])
        candidates = Candidates(reading.candidates.kinds, vectors)
        for layer in layers:
            stored = reading.stored[layer.layer][few]
            difference, kind, _ = nearest(stored, candidates, {0: np.arange(len(few))}, layer.scale)
            if difference <= layer.allowed and layer.layer not in faults:
                told = told_apart(layer.layer, layer.expected, kind, 0)
                faults[layer.layer] = (f"site {site}, not {subject.site.name}", *told)
    return faults


def _tokens(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    few = few_rows(len(reading.names))
    names, tokens = [reading.names[row] for row in few], [reading.tokens[row] for row in few]
    source, faults = subject.source, dict[int, tuple[str, ...]]()
    for words, others in other_tokens(subject, subject.rows.iloc[reading.places[few]], tokens):
        read = dict(all_states(engine, source, others))
        for layer in layers:
            difference, kind = _nearest_of(subject, read, reading.stored[layer.layer][few], layer)
            if difference <= layer.allowed and layer.layer not in faults:
                row = next(row for row in range(len(few)) if not np.array_equal(others[row], tokens[row]))
                counts = f"{len(others[row])} tokens, not {len(tokens[row])}, in row {names[row]!r}"
                told = told_apart(layer.layer, layer.expected, kind, 0)
                faults[layer.layer] = (*told, f"other tokens: {words} ({counts})")
    return faults


def _nearest_of(
    subject: Subject, read: Mapping[int, Sequence[Tensor]], stored: NDArray[np.float32], layer: Unexplained
) -> tuple[float, Candidate]:
    """What comes nearest among rows with other tokens: of a marked position, which is unknown there, any token."""
    depth = subject.source.depth
    if subject.marked is None:
        vectors = np.stack([candidates_of(read[row], depth) for row in range(len(stored))])
        candidates = Candidates(kinds_of(depth), vectors)
        difference, kind, _ = nearest(stored, candidates, {0: np.arange(len(stored))}, layer.scale)
        return difference, kind
    matches = [nearest_state(read[row], vector) for row, vector in enumerate(stored)]
    most = max((match.layer for match in matches), key=[match.layer for match in matches].count)
    median = float(np.median([match.distance for match in matches])) / layer.scale
    return median, Candidate(min(most, depth), layer.expected.position, most > depth)


def _pads(
    subject: Subject, engine: Engine, reading: Reading, layers: Sequence[Unexplained]
) -> dict[int, tuple[str, ...]]:
    """Whether pads were read: tried on three rows that differ, of which the longer have fewer pads in any batch."""
    if subject.site.tokens:  # logits are of no module's output
        return {}
    own = reading.partners[0]
    far: dict[int, list[int]] = {}  # by layer the rows that are not as they should be
    for layer in layers:
        if layer.expected in reading.candidates.kinds:
            differences = shares(reading.stored[layer.layer], reading.candidates.of(layer.expected)[own], layer.scale)
            far[layer.layer] = np.flatnonzero(~(differences <= layer.allowed)).tolist()
    order = sorted({row for rows in far.values() for row in rows}, key=lambda row: len(reading.tokens[row]))
    chosen = dict.fromkeys(order[round(share * (len(order) - 1))] for share in (0.9, 0.75, 0.5) if order)
    rows = [
        PaddedRow(
            reading.names[row],
            reading.tokens[row],
            {layer: reading.stored[layer][row] for layer, there in far.items() if row in there},
            None if reading.at is None else int(reading.at[row]),
        )
        for row in chosen
    ]
    limits = {layer.layer: layer.scale * layer.allowed for layer in layers}
    found = padding_faults(engine, subject.source, rows, max(map(len, reading.tokens)), limits)
    return {layer: (words,) for layer, words in found.items()}
