"""Directions of a layer: a linear probe's, and random ones of the same length to hold it against."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.labels.shuffled import shuffled_labels
from w2s_probes.probes.fitted_to import check_fitted_to
from w2s_probes.probes.registry import PROBES
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import group_ids, groups_of
from w2s_probes.rows.ids import positions
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.layers import LayerSpec

from .steer_files import CONTROLS, PROBE, Control

if TYPE_CHECKING:
    from w2s_probes.probes import Probe

SAVED = ".safetensors"  # ends the name of a probe's file


@dataclass(frozen=True, eq=False)
class LinearScore:
    """A linear probe of one layer: log-odds x·w + b."""

    layer: int
    coef: NDArray[np.float64]  # (width,)
    intercept: float

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds (m,) of vectors X (m, width)."""
        return np.asarray(X.astype(np.float64) @ self.coef + self.intercept)


@dataclass(frozen=True, eq=False)
class Directions:
    """D unit vectors of a layer, the one that is asked about first, and what strength 1 along each is long.

    `scale` is the standard deviation, over the rows that the probe learned from, of their projections on the first
    vector: strength 1 moves a row as far as rows commonly lie apart along the probe's direction. All directions are
    given that same length.
    """

    layer: int
    vectors: NDArray[np.float64]  # (D, width) of norm 1
    kinds: tuple[str, ...]  # (D,) `probe`, then names of CONTROLS
    scale: float
    probe: LinearScore | None  # what the first one is the direction of; None where a bare vector was given
    later: LinearScore | None  # fitted on a later layer by the same labels, where that is read
    name: str  # of the probe, or `given`
    l2: float | None
    learned: int  # rows
    length: float  # median norm of these rows' vectors
    seed: int
    remarks: tuple[str, ...] = ()  # of a saved probe whose file does not say what it was fitted to

    @classmethod
    def fit(
        cls,
        store: ActivationStore,
        labels: Any,
        *,
        layer: LayerSpec,
        later: LayerSpec | None = None,
        probe: str = "logistic",
        l2: float | None = None,
        direction: ArrayLike | None = None,
        random: int = 20,
        controls: Sequence[str] = tuple(CONTROLS),
        seed: int = 0,
    ) -> "Directions":
        """Fit the probe on the rows of split train of a label file, and draw `random` directions of each control.

        `probe` is a linear one of the registry by name, or the file of one that was saved; `direction` (width,) is
        taken in its place. Probes of permuted labels and of the later layer are of its kind and penalty. InputError
        for layers that are not stored, a probe without a direction, a saved one of another layer or model, a penalty
        beside it, a direction of another width, not finite or 0, and labels of one class.
        """
        refuse_directions(random, controls, probe, l2)
        at = store.resolve(layer)
        beyond = None if later is None else store.resolve(later)
        refuse_not_later(at, beyond)
        saved = direction is None and probe.endswith(SAVED)
        unrecorded = check_fitted_to(probe, store, at) if saved else None
        file = labels if isinstance(labels, LabelFile) else LabelFile.read(labels)
        if not file.training.any():
            raise InputError(f"{file.where}: no row has split = train")
        ids, y = file.weak.ids[file.training], file.weak.p[file.training]
        positions(store.ids, ids, str(store.path), of=file.where)
        X = store.layer(at, ids=ids)
        groups = groups_of(file.frame[file.training])
        given = None if direction is None else checked_direction(direction, X.shape[1], "direction")
        kind = _kind(probe, l2, given)
        own = None if given is not None else _own(probe, kind, X, y, at)
        asked = _unit(own.coef, f"--probe {probe}") if own is not None else given
        assert asked is not None
        scale = float((X.astype(np.float64) @ asked).std())
        if not scale > 0:
            raise InputError(
                f"layer {at} of {store.path}: all rows are equal along the direction: choose another layer"
            )
        vectors, kinds = [asked[None]], [PROBE]
        for control in (name for name in CONTROLS if name in controls):
            vectors.append(_drawn(control, kind, X, y, groups, random, seed))
            kinds += [control] * random
        return cls(
            layer=at,
            vectors=np.concatenate(vectors),
            kinds=tuple(kinds),
            scale=scale,
            probe=own,
            later=None if beyond is None else _fitted(kind, store.layer(beyond, ids=ids), y, beyond, "the later probe"),
            name="given" if given is not None else probe,
            l2=getattr(kind, "l2", None) if given is None else None,
            learned=len(ids),
            length=float(np.median(np.linalg.norm(X, axis=1))),
            seed=seed,
            remarks=() if unrecorded is None else (f"--probe {unrecorded}",),
        )

    @property
    def random(self) -> int:
        """The number of directions of each control."""
        return max((self.kinds.count(name) for name in CONTROLS), default=0)


def refuse_directions(random: int, controls: Sequence[str], probe: str, l2: float | None = None) -> None:
    """InputError for options that no layer could serve; scikit-learn is not loaded for that."""
    if random < 1:
        raise InputError(f"--random {random}: give at least 1; 19 is the fewest that can give p = .05")
    if not controls:
        raise InputError("--controls: name at least one, or nothing tells the probe's direction from any other")
    for name in controls:
        if name not in CONTROLS:
            raise InputError(f"--controls {name!r}: {did_you_mean(name, CONTROLS)}")
    if probe.endswith(SAVED):
        if not Path(probe).is_file():
            raise InputError(f"--probe {probe}: no such file")
        if l2 is not None:
            raise InputError(f"--l2 {l2:g}: --probe {probe} has its own penalty: leave --l2 out")
    elif probe not in PROBES:
        raise InputError(f"--probe {probe}: {did_you_mean(probe, PROBES)}; or the .safetensors file of a saved probe")
    elif PROBES[probe].pairs:
        raise InputError(f"--probe {probe}: it reads contrast pairs, and steered are single texts: choose logistic")
    elif PROBES[probe].value == "k":
        raise InputError(f"--probe {probe}: it judges by neighbours, and has no direction: choose logistic")
    elif l2 is not None and PROBES[probe].value is None:
        raise InputError(f"--l2 is no value of {probe}, which has none: leave it out")


def refuse_not_later(layer: int, later: int | None) -> None:
    """InputError unless the layer that is read lies above the one that is steered."""
    if later is not None and later <= layer:
        raise InputError(f"--read layer:{later} is not after the steered layer {layer}, so nothing in it is caused")


def checked_direction(direction: ArrayLike, width: int, what: str) -> NDArray[np.float64]:
    """A direction (width,) of norm 1; InputError for another width, numbers that are not finite, and 0."""
    vector = np.asarray(direction, dtype=np.float64)
    if vector.shape != (width,):
        raise InputError(
            f"{what}: shape {vector.shape}, and the layer's vectors are ({width},): is it of another model?"
        )
    return _unit(vector, what)


def _kind(probe: str, l2: float | None, given: Any) -> "Probe":
    """The probe that is fitted here, not fitted yet: of a saved one, its like; beside a bare direction, logistic."""
    if given is not None or not probe.endswith(SAVED):
        entry = PROBES["logistic" if given is not None else probe]
        return entry.make(l2 if entry.value == "l2" else None)
    from sklearn.base import clone

    from w2s_probes.probes import Probe, load_probe

    kind = clone(load_probe(probe))
    if not isinstance(kind, Probe):
        raise InputError(f"--probe {probe}: a {type(kind).__name__} is no linear probe of vectors: choose logistic")
    return kind


def _unit(vector: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    if not np.isfinite(vector).all():
        raise InputError(f"{what}: its direction is NaN or infinite: fit it again")
    norm = float(np.linalg.norm(vector))
    if norm == 0:
        raise InputError(f"{what}: its direction is 0: it tells no rows apart")
    return np.asarray(vector / norm)


def _own(probe: str, kind: "Probe", X: NDArray[np.float32], y: NDArray[np.float64], layer: int) -> LinearScore:
    """The probe that is asked about, fitted or loaded."""
    if not probe.endswith(SAVED):
        return _fitted(kind, X, y, layer, f"--probe {probe}")
    from w2s_probes.probes import load_probe

    score = _linear(load_probe(probe), layer, f"--probe {probe}")
    checked_direction(score.coef, X.shape[1], f"--probe {probe}")
    return score


def _fitted(kind: "Probe", X: NDArray[np.float32], y: NDArray[np.float64], layer: int, what: str) -> LinearScore:
    from sklearn.base import clone

    return _linear(clone(kind).fit(X, y), layer, what)


def _linear(probe: Any, layer: int, what: str) -> LinearScore:
    coef, intercept = getattr(probe, "coef_", None), getattr(probe, "intercept_", None)
    if coef is None or np.asarray(coef).ndim != 2 or len(coef) != 1 or intercept is None:
        raise InputError(f"{what}: no linear probe, so it has no direction: choose logistic")
    return LinearScore(layer, np.asarray(coef[0], dtype=np.float64), float(np.asarray(intercept).ravel()[0]))


def _drawn(
    control: Control,
    kind: "Probe",
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    groups: NDArray[np.object_] | None,
    count: int,
    seed: int,
) -> NDArray[np.float64]:
    """Random directions (count, width) of norm 1."""
    rng = stream(seed, "steer", control)
    if control == "isotropic":
        drawn = rng.normal(size=(count, X.shape[1]))
    elif control == "covariance":
        centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
        drawn = rng.normal(size=(count, len(X))) @ centred  # normal, with n times the rows' covariance
    else:
        from w2s_probes.probes import LogisticProbe

        codes = group_ids(X, groups)
        together = codes if len(np.unique(codes)) < len(X) else None
        shuffled = np.stack([shuffled_labels(y, together, rng) for _ in range(count)])
        if type(kind) is LogisticProbe:  # all at once
            drawn = np.stack([path.coef_[0] for path in LogisticProbe.paths(X, shuffled, l2=[kind.l2], cv=None)])
        else:
            drawn = np.stack([_fitted(kind, X, labels, 0, "a permuted probe").coef for labels in shuffled])
    return np.stack([_unit(vector, f"a {control} direction") for vector in drawn])
