"""`examine`: a sample of a store's rows through the model, and for each layer what it really holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from w2s_probes.store.dtypes import StoredDtype

from ..forward.engine import Engine
from ..forward.row_check import TOLERANCE
from ..models.fits import refuse_too_large
from ..models.loading import Placement
from .candidates import Candidate
from .distances import CLEAR, EXACT, is_told_apart, nearest, shares, spread
from .elsewhere import places_of
from .explaining import Unexplained, explanations
from .formats import COARSER, coarsest, precision_of
from .layer_finding import LayerFinding, told_apart
from .position_finding import position_found
from .reading import Reading, read
from .sampling import least_found
from .subject import SAMPLE, Subject

WHOLE = (
    "a store is examined by the whole model: extract a few of its rows by `w2s extract --offload` and compare the two "
    "stores, or use a machine with more memory, or --device-map"
)


@dataclass(frozen=True)
class Examination:
    """What the doctor found of a store."""

    layers: tuple[LayerFinding, ...]
    rows: int  # of the store that were looked at
    position: str | None  # that the store says, or, where it says none, that was found
    faults: tuple[str, ...]  # of the whole store
    remarks: tuple[str, ...]  # that are no faults
    least_found: int  # wrong rows, wherever they stand, that a sample drawn so hits with probability .95

    @property
    def ok(self) -> bool:
        """Whether the store is what it says."""
        return not self.faults and all(layer.ok for layer in self.layers)


def examine(
    subject: Subject,
    *,
    sample: int = SAMPLE,
    layers: Sequence[int] | None = None,
    placement: Placement | None = None,
) -> Examination:
    """Compare `sample` rows of a store with every layer of the model, at every position, and with the rows beside.

    `layers` are those of the store that are looked at, all unless given. Differences are measured in the median
    distance between rows, and allowed is what the coarser of the two number formats may differ by.
    """
    store, source = subject.store, subject.source
    wanted = store.layers if layers is None else list(layers)
    site, width = subject.site, subject.site.width(source.width)
    if store.manifest.width != width:
        fault = f"another model: its vectors have {store.manifest.width} numbers, those of {source.name} {width}"
        unlike = tuple(LayerFinding(layer, (fault,), float("nan"), float("nan")) for layer in wanted)
        return Examination(unlike, 0, subject.position, (), subject.remarks, 1)
    placement = placement or Placement()
    refuse_too_large(source, subject.dtype, placement.device_map, subject.quantization, WHOLE)
    engine = Engine(
        source,
        layers=range(site.first_layer, source.depth + 1),
        position="all",
        dtype=subject.dtype,
        site=site,
        quantization=subject.quantization,
        placement=placement,
    )
    reading = read(subject, engine, sample, wanted)
    remarks, position = list(subject.remarks), subject.position
    if position is None:
        position = position_found(subject, reading, wanted)
        remarks.append(f"{store.path}: does not say its position; {position} comes nearest")
    findings, left = [], []
    for layer in wanted:
        finding, unexplained = _finding(subject, reading, layer, "last" if position == "all" else position)
        findings.append(finding)
        if unexplained is not None:
            left.append(unexplained)
    why = explanations(subject, engine, reading, left) if left else {}
    findings = [_explained(finding, why.get(finding.layer)) for finding in findings]
    return Examination(
        tuple(findings),
        len(reading.places),
        position,
        tuple(reading.token_faults),
        (*remarks, *_precision(subject, reading)),
        least_found(len(store), sample),
    )


def _finding(subject: Subject, reading: Reading, layer: int, position: str) -> tuple[LayerFinding, Unexplained | None]:
    """What a layer holds; the second where nothing that the model gives comes near, or near enough to be sure."""
    stored = reading.stored[layer]
    own = precision_of(stored, subject.store.manifest.dtype)
    allowed = TOLERANCE["bfloat16" if subject.quantization else coarsest(own, subject.dtype)]
    scale = spread(stored)
    expected = Candidate(layer, position, normed=subject.store.manifest.after_norm == layer)
    best, holds, shift = nearest(stored, reading.candidates, reading.partners, scale)
    differences = np.full(len(stored), np.inf)
    if expected in reading.candidates.kinds:
        fresh = reading.candidates.of(expected)[reading.partners[0]]
        if not np.isfinite(fresh).all():  # a model without a final norm
            expected = replace(expected, normed=False)
            fresh = reading.candidates.of(expected)[reading.partners[0]]
        differences = shares(stored, fresh, scale)
    median = float(np.median(differences))
    if median <= allowed and not is_told_apart(median, best, allowed):
        faults = _rounding(subject, own, fresh) + _rows_apart(subject, reading, layer, expected, differences, allowed)
        faults += _tokens_apart(reading, layer, scale, allowed)
        finding = LayerFinding(layer, faults, median, allowed, expected, 0, median)
        doubtful = median > EXACT * allowed
        return finding, Unexplained(layer, expected, scale, median / CLEAR) if doubtful else None
    if best <= allowed:
        faults = told_apart(layer, expected, holds, shift, _example(subject, reading, shift))
        faults += _rounding(subject, own, reading.candidates.of(holds))
        return LayerFinding(layer, faults, median, allowed, holds, shift, best), None
    near = expected if (holds, shift) == (expected, 0) else None
    return LayerFinding(layer, (), median, allowed, near, 0, best), Unexplained(
        layer, expected, scale, min(allowed, best / CLEAR)
    )


def _explained(finding: LayerFinding, why: tuple[str, ...] | None) -> LayerFinding:
    """The finding with what explains it; where nothing does, rounding, if that is enough, or another model."""
    if why is not None:
        return replace(finding, faults=why, holds=None)
    if finding.faults or finding.difference <= finding.allowed:
        return finding
    if finding.holds is not None and finding.nearest <= TOLERANCE["bfloat16"]:
        fault = f"rounded: differs by {finding.nearest:.1g} of the distance between rows, as half precision does"
        return replace(finding, faults=(fault,))
    fault = (
        f"another model or other texts: nothing comes nearer than {finding.nearest:.2g} of the distance between rows"
    )
    return replace(finding, faults=(fault,), holds=None)


def _example(subject: Subject, reading: Reading, shift: int) -> str:
    if not shift:
        return ""
    row = next(row for row, place in enumerate(reading.partners[shift]) if place >= 0)
    return f": at row {reading.names[row]!r} that of {subject.names[int(reading.places[row]) + shift]!r}"


def _rounding(subject: Subject, own: StoredDtype, fresh: NDArray[np.float32]) -> tuple[str, ...]:
    """The fault of numbers that have fewer digits than the store would keep and than the model gives."""
    fewer = COARSER[own] > COARSER[subject.store.manifest.dtype] and own != subject.dtype
    if fewer and precision_of(fresh, "float32") != own:  # a table of embeddings may hold no more digits itself
        return (f"rounded to {own}, and kept as {subject.store.manifest.dtype}",)
    return ()


def _rows_apart(
    subject: Subject,
    reading: Reading,
    layer: int,
    expected: Candidate,
    differences: NDArray[np.float64],
    allowed: float,
) -> tuple[str, ...]:
    """The fault of some rows that differ where most do not, with the place of the first one's vector if it has one."""
    far = np.flatnonzero(~(differences <= allowed))
    half = allowed > TOLERANCE["float32"]
    if not len(far) or (half and len(far) == 1 and differences[far[0]] <= 2 * allowed):  # sent to another expert
        return ()
    row = int(far[0])
    wanted = reading.candidates.of(expected)[reading.partners[0][row]][None]
    places, distances = places_of(subject.store, layer, wanted)
    stands = ""
    if distances[0] / spread(reading.stored[layer]) <= allowed:
        stands = f", whose vector stands at row {subject.names[int(places[0])]!r}"
    return (f"{len(far)} of {len(differences)} rows differ, first {reading.names[row]!r}{stands}",)


def _tokens_apart(reading: Reading, layer: int, scale: float, allowed: float) -> tuple[str, ...]:
    worst = max(reading.token_differences.get(layer, []), default=0.0) / scale
    return (f"some tokens differ, by up to {worst:.2g} of the distance between rows",) if worst > 2 * allowed else ()


def _precision(subject: Subject, reading: Reading) -> list[str]:
    """Remarks on the number formats, where these differ and nothing is wrong with that."""
    m = subject.store.manifest
    own = min((precision_of(stored, m.dtype) for stored in reading.stored.values()), key=COARSER.__getitem__)
    if own != m.dtype and own == subject.dtype:
        return [f"{subject.store.path}: numbers of {own}, kept as {m.dtype}"]
    if m.dtype != subject.dtype:
        return [f"{subject.store.path}: holds {m.dtype}, and {subject.source.name} was read in {subject.dtype}"]
    return []
